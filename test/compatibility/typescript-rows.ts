import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunResult, run } from '../servers/run.ts';
import { compilerOf, type ProjectName, type TypeScriptVersion } from './projects.ts';
import { expectEnd, type Row } from './row.ts';

/** All subpaths by their types, used so that an unresolved one, which would be `any`, is an error. */
const PROGRAM = `
import { SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { consul } from 'holdfast/consul';
import { RunOnce, WithLock } from 'holdfast/decorators';
import { etcd } from 'holdfast/etcd';
import { LeasePool } from 'holdfast/leases';
import { openTelemetry } from 'holdfast/opentelemetry';
import { conformance } from 'holdfast/testing';

export function refused() {
  // @ts-expect-error a name is text
  new SyncManager({ name: 1, backend: memory() });
  // @ts-expect-error a pool has a name
  new LeasePool(sync, {});
  // @ts-expect-error a backend has its own options
  return [consul({ hosts: [] }), etcd({ addresses: [] })];
}

export class Orders {
  @WithLock((id: string) => id)
  async pay<T>(_id: string, amount: T): Promise<T> {
    return amount;
  }

  @RunOnce('nightly', { atLeast: 1_000 })
  async nightly(): Promise<void> {}
}
export const paid = (orders: Orders): Promise<7> => orders.pay<7>('42', 7);

const sync: SyncManager = new SyncManager({ name: 'a', backend: memory(), telemetry: openTelemetry() });
export const position = async (pool: LeasePool<string, number>): Promise<number | undefined> =>
  (await pool.obtain({ lesseeId: 'me' })).position;
void sync.withLock('k', ({ held }) => console.log('held', held, typeof WithLock, typeof conformance)).then(() => sync.stop());
`;

const PEERS: Partial<Record<ProjectName, string>> = {
  newest: `
export { syncModule } from 'holdfast/di';
export { SyncModule } from 'holdfast/nestjs';
`,
  lowest: `
export { syncModule } from 'holdfast/di';
`,
};

/** As in the columns. `node` is also called `node10`. */
type Resolution = 'node16' | 'nodenext' | 'bundler' | 'node';

interface Case {
  readonly version: TypeScriptVersion;
  readonly resolution: Resolution;
  readonly module: string;
  /** The error where it does not work. */
  readonly error?: string;
}

const modules = { node16: 'node16', nodenext: 'nodenext', bundler: 'es2022', node: 'es2022' } as const;
const resolutions = Object.keys(modules) as Resolution[];
const versions: readonly TypeScriptVersion[] = ['5.4', '5.9', '7'];
const removed = (version: TypeScriptVersion, resolution: Resolution) =>
  version === '7' && resolution === 'node' ? { error: 'TS5108' } : {};

const inModules: Case[] = versions.flatMap((version) =>
  resolutions.map((resolution) => ({
    version,
    resolution,
    module: modules[resolution],
    ...removed(version, resolution),
  })),
);

const inCommonJs: Case[] = versions.flatMap((version) => [
  { version, resolution: 'node16', module: 'node16', error: 'TS1479' },
  {
    version,
    resolution: 'nodenext',
    module: 'nodenext',
    ...(version === '5.4' && { error: 'TS1479' }),
  },
  { version, resolution: 'node', module: 'commonjs', ...removed(version, 'node') },
]);

const rowOf = (table: string, type: 'module' | 'commonjs', given: Case): Row => ({
  table,
  line: `TypeScript ${given.version}`,
  column: `\`${given.resolution}\``,
  says: given.error === undefined ? 'yes' : `no: \`${given.error}\``,
  async check(kit) {
    // `node` finds no types of inversify 8, whoever asks.
    const name = given.resolution === 'node' ? 'lowest' : 'newest';
    const [project, home] = await Promise.all([kit.project(name), kit.project('newest')]);
    const folder = join(project, `${type}-${given.version}-${given.resolution}`);
    await mkdir(folder);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type }));
    await writeFile(join(folder, 'program.ts'), PROGRAM + (PEERS[name] ?? ''));
    const compilerOptions = {
      target: 'es2022',
      module: given.module,
      moduleResolution: given.resolution,
      strict: true,
      esModuleInterop: true,
      // Both kinds of decorators.
      experimentalDecorators: type === 'commonjs',
      // Our types are the same everywhere: looked at in two ways, as that takes most of a compiler's time.
      skipLibCheck: type === 'commonjs' || !['nodenext', 'node'].includes(given.resolution),
      skipDefaultLibCheck: true,
      types: ['node'],
      rootDir: '.',
      outDir: 'out',
    };
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['program.ts'] }),
    );
    const compiler = join(home, 'node_modules', compilerOf(given.version), 'bin', 'tsc');
    const compiled = await run(process.execPath, [compiler, '-p', folder], {
      cwd: project,
      timeout: 120_000,
    });
    const errors = ours(compiled);
    if (given.error === undefined) expectEnd(errors, 0, '');
    else return expectEnd(errors, 1, given.error);
    expectEnd(
      await run(process.execPath, [join(folder, 'out', 'program.js')], { cwd: folder, timeout: 60_000 }),
      0,
      'held true function function',
    );
  },
});

/** Without the faults that a compiler finds in the types of others: those of an early TypeScript in inversify 8, for one. */
function ours(result: RunResult): RunResult {
  const told = result.stdout.split('\n').filter((line) => /\berror TS\d+:/.test(line));
  const errors = told.filter((line) => !/node_modules\/(?!holdfast\/)/.test(line.split('(', 1)[0] ?? ''));
  const crashed = result.code !== 0 && told.length === 0;
  if (crashed) return result;
  return { code: errors.length === 0 ? 0 : 1, stdout: errors.join('\n'), stderr: result.stderr };
}

export const typescriptRows: Row[] = [
  ...inModules.map((given) => rowOf('TypeScript in a project of ES modules', 'module', given)),
  ...inCommonJs.map((given) => rowOf('TypeScript in a CommonJS project', 'commonjs', given)),
];
