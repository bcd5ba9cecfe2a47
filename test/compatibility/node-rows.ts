import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../servers/run.ts';
import { expectEnd, type Kit, type Row } from './row.ts';

const SUBPATHS = [
  'consul',
  'decorators',
  'di',
  'etcd',
  'leases',
  'memory',
  'nestjs',
  'opentelemetry',
  'postgres',
  'testing',
];

/** Loads everything, and locks on every backend. */
const program = (
  load: (specifier: string) => string,
  { etcd, consul, postgres }: Kit['addresses'],
): string => `
${load('reflect-metadata')};
const { SyncManager } = ${load('holdfast')};
const [consul, , , etcd, leases, memory, , , postgres] = [${SUBPATHS.map((path) => load(`holdfast/${path}`)).join(', ')}];
async function use(backend) {
  const key = 'compatibility/' + process.pid;
  const sync = new SyncManager({ name: 'compatibility', backend });
  const ok = await sync.withLock(key, async (grant) => (await sync.commit({ when: [grant.isOwner] })).ok);
  const pool = new leases.LeasePool(sync, { prefix: key });
  await pool.add({ id: 'a', attributes: 1 });
  const lease = await pool.obtain({ lesseeId: 'me' });
  await lease.release({ checkpoint: 2 });
  await pool.remove('a');
  await sync.stop();
  return ok && lease.position === 2;
}
Promise.all([
  use(memory.memory()),
  use(etcd.etcd({ hosts: ['${etcd}'] })),
  use(consul.consul({ addresses: ['${consul}'] })),
  use(postgres.postgres({ connectionString: '${postgres}' })),
]).then((all) => console.log('locked', all.join()));
`;

const programs = {
  import: { file: 'use.mjs', load: (specifier: string) => `await import('${specifier}')` },
  require: { file: 'use.cjs', load: (specifier: string) => `require('${specifier}')` },
};

interface Case {
  readonly version: string;
  readonly line?: string;
  readonly flags?: readonly string[];
  /** Where it is not "yes". */
  readonly require?: string;
}

const cases: readonly Case[] = [
  { version: '20.19.0' },
  {
    version: '22',
    line: '22.0 to 22.11, 23.0 to 23.3',
    // What those do without being asked.
    flags: ['--no-experimental-require-module'],
    require: 'no: `ERR_REQUIRE_ESM`',
  },
  { version: '22', line: '22.12 and later' },
  { version: '24' },
  { version: '26' },
];

const columns = ['import', 'require'] as const;

export const nodeRows: Row[] = cases.flatMap(({ version, line = version, flags = [], require = 'yes' }) =>
  columns.map((column): Row => {
    const says = column === 'require' ? require : 'yes';
    return {
      table: 'Node',
      line,
      column,
      says,
      async check(kit) {
        const [folder, node] = await Promise.all([kit.project('newest'), kit.node(version)]);
        const { file, load } = programs[column];
        await writeFile(join(folder, file), program(load, kit.addresses));
        const result = await run(node, ['--unhandled-rejections=strict', ...flags, file], {
          cwd: folder,
          timeout: 90_000,
        });
        if (says === 'yes') expectEnd(result, 0, 'locked true,true,true,true');
        else expectEnd(result, 1, 'ERR_REQUIRE_ESM');
      },
    };
  }),
);
