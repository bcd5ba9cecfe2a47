import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { minVersion } from 'semver';
import { run } from '../servers/run.ts';
import type { ProjectName } from './projects.ts';
import { expectEnd, type Kit, type Row } from './row.ts';

const { peerDependencies } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
) as { peerDependencies: Record<string, string> };

const locks = (backend: string) => `
  const { SyncManager } = await import('holdfast');
  const sync = new SyncManager({ name: 'peers', backend: ${backend} });
  console.log('works', (await sync.withLock('compatibility/' + process.pid, ({ held }) => held)) === true);
  await sync.stop();`;

/** What uses a peer, and ends with "works true". */
const programs: Record<string, (addresses: Kit['addresses']) => string> = {
  inversify: () => `
  import 'reflect-metadata';
  import { Container } from 'inversify';
  import { SyncManager } from 'holdfast';
  import { LEADERSHIP, LEADERSHIP_LOCK, lockIdentifier, SYNC_BACKEND, syncModule } from 'holdfast/di';
  import { memory } from 'holdfast/memory';
  const daily = lockIdentifier('reports/daily');
  const trail = lockIdentifier('trail', { manager: 'audit' });
  const container = new Container();
  container.load(
    syncModule((context) => ({ name: context.get('service') })),
    syncModule({ name: 'audit', backend: memory() }, { named: 'audit' }),
  );
  container.bind('service').toConstantValue('billing');
  container.bind(SYNC_BACKEND).toConstantValue(memory()).whenDefault();
  const managers = [container.get(SyncManager), container.get(SyncManager, { name: 'audit' })];
  await container.get(LEADERSHIP_LOCK).lock({ timeout: 10_000 });
  const leads = container.get(LEADERSHIP).isLeader;
  const keys = [container.get(daily).key, container.get(trail).key].join();
  // Version 7 has the one name, and version 8 both.
  await (container.unbindAllAsync?.() ?? container.unbindAll());
  const ended = managers.map((manager) => manager.health().ready);
  console.log('works', leads && keys === 'reports/daily,trail' && ended.join() === 'false,false');`,
  '@nestjs/common': () => `
  import 'reflect-metadata';
  import { SyncManager } from 'holdfast';
  import { SyncModule } from 'holdfast/nestjs';
  import { memory } from 'holdfast/memory';
  import { NestFactory } from '@nestjs/core';
  const module = SyncModule.forRootAsync({ useFactory: async () => ({ name: 'nest', backend: memory() }) });
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  const sync = app.get(SyncManager);
  const held = await sync.withLock('k', (grant) => grant.held);
  await app.close();
  console.log('works', held && !sync.health().ready);`,
  consul: ({ consul }) => `
  import { consul } from 'holdfast/consul';${locks(`consul({ addresses: ['${consul}'] })`)}`,
  etcd3: ({ etcd }) => `
  import { etcd } from 'holdfast/etcd';${locks(`etcd({ hosts: ['${etcd}'] })`)}`,
  pg: ({ postgres }) => `
  import { postgres } from 'holdfast/postgres';${locks(`postgres({ connectionString: '${postgres}' })`)}`,
  '@opentelemetry/api': () => `
  import { SyncManager } from 'holdfast';
  import { memory } from 'holdfast/memory';
  import { openTelemetry } from 'holdfast/opentelemetry';
  const sync = new SyncManager({ name: 'otel', backend: memory(), telemetry: openTelemetry() });
  console.log('works', await sync.withLock('k', ({ held }) => held));
  await sync.stop();`,
};

const places = (peer: string): Record<'lowest' | 'newest', ProjectName> =>
  peer === '@nestjs/common' ? { lowest: 'nest', newest: 'newest' } : { lowest: 'lowest', newest: 'newest' };

async function versionIn(project: string, peer: string): Promise<string> {
  const text = readFileSync(join(project, 'node_modules', peer, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

export const peerRows: Row[] = Object.entries(peerDependencies)
  .filter(([peer]) => peer !== 'reflect-metadata')
  .flatMap(([peer, range]) =>
    (['lowest', 'newest'] as const).map((column): Row => {
      const oldest = minVersion(range)?.version ?? '';
      return {
        table: 'Peers',
        line: `\`${peer}\` ${range.replaceAll('|', '\\|')}`,
        column,
        says: column === 'lowest' ? `${oldest}: yes` : 'yes',
        async check(kit) {
          const project = await kit.project(places(peer)[column]);
          const version = await versionIn(project, peer);
          if (column === 'lowest' && version !== oldest)
            throw new Error(`${peer} ${version} is installed for ${oldest}`);
          const program = programs[peer];
          if (program === undefined) throw new Error(`nothing here uses ${peer}`);
          const file = `use-${peer.replaceAll(/\W/g, '-')}.mjs`;
          await writeFile(join(project, file), program(kit.addresses));
          expectEnd(
            await run(process.execPath, [file], { cwd: project, timeout: 60_000 }),
            0,
            'works true\n',
          );
        },
      };
    }),
  );
