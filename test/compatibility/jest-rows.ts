import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../servers/run.ts';
import { expectEnd, type Kit, type Row } from './row.ts';

/** The line that Jest takes in CommonJS. pnpm has a folder between; therefore the `.*`. */
export const TRANSFORM_LINE = `transformIgnorePatterns: ['node_modules/(?!.*holdfast/)'],`;

const BACKENDS = {
  memory: 'memory()',
  etcd: `etcd({ hosts: ['ETCD'] })`,
  consul: `consul({ addresses: ['CONSUL'] })`,
};

const using = (...backends: (keyof typeof BACKENDS)[]): string => `
test('locks', async () => {
  const key = 'compatibility/jest/' + Math.random();
  for (const backend of [${backends.map((name) => BACKENDS[name]).join(', ')}]) {
    const sync = new SyncManager({ name: 'jest', backend });
    const { signal } = new AbortController();
    try {
      expect(await sync.withLock(key, ({ held }) => held, { signal, timeout: 10_000 })).toBe(true);
    } finally {
      await sync.stop();
    }
  }
}, 60_000);
`;
const USE = using('memory', 'etcd', 'consul');
const IN_JSDOM = using('memory', 'consul');

const imports = `import { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { memory } from 'holdfast/memory';
`;
const requires = `const { SyncManager } = require('holdfast');
const { consul } = require('holdfast/consul');
const { etcd } = require('holdfast/etcd');
const { memory } = require('holdfast/memory');
`;

const commonJs = (...lines: string[]) => `module.exports = {\n${lines.join('\n')}\n};\n`;
const babel = `module.exports = { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] };\n`;
const tsconfig = JSON.stringify({
  compilerOptions: {
    target: 'es2022',
    module: 'commonjs',
    moduleResolution: 'node',
    strict: true,
    esModuleInterop: true,
    allowJs: true,
    isolatedModules: true,
    types: ['node', 'jest'],
  },
});

interface Setup {
  readonly line: string;
  readonly type: 'commonjs' | 'module';
  readonly files: Record<string, string>;
  readonly flags?: readonly string[];
  /** Where it is no "yes", and what Jest says there. */
  readonly refused?: {
    readonly says: string;
    readonly said: string;
    readonly on: readonly (keyof typeof nodes)[];
  };
}

const VM_MODULES = '--experimental-vm-modules';
const nodes = { 'Node 20': '20.19.0', 'Node 24': '24' } as const;

const setups: readonly Setup[] = [
  {
    line: 'CommonJS, the line below, Babel',
    type: 'commonjs',
    files: {
      'jest.config.cjs': commonJs(TRANSFORM_LINE),
      'babel.config.cjs': babel,
      'lock.test.js': imports + USE,
    },
  },
  {
    line: 'the first, in jsdom: memory, Consul',
    type: 'commonjs',
    files: {
      'jest.config.cjs': commonJs(`testEnvironment: 'jsdom',`, TRANSFORM_LINE),
      'babel.config.cjs': babel,
      'lock.test.js': imports + IN_JSDOM,
    },
  },
  {
    line: 'the first, in jsdom: etcd',
    type: 'commonjs',
    files: {
      'jest.config.cjs': commonJs(`testEnvironment: 'jsdom',`, TRANSFORM_LINE),
      'babel.config.cjs': babel,
      'lock.test.js': imports + using('etcd'),
    },
    refused: {
      says: 'no: grpc-js needs `setImmediate`',
      said: 'setImmediate is not defined',
      on: ['Node 20', 'Node 24'],
    },
  },
  {
    line: 'the first, in jsdom, a file that begins with `/** @jest-environment node */`',
    type: 'commonjs',
    files: {
      'jest.config.cjs': commonJs(`testEnvironment: 'jsdom',`, TRANSFORM_LINE),
      'babel.config.cjs': babel,
      'lock.test.js': `/** @jest-environment node */\n${imports}${USE}`,
    },
  },
  {
    line: 'CommonJS, the line below, ts-jest',
    type: 'commonjs',
    files: {
      'jest.config.cjs': commonJs(`preset: 'ts-jest/presets/js-with-ts',`, TRANSFORM_LINE),
      'tsconfig.json': tsconfig,
      'lock.test.ts': imports + USE,
    },
  },
  {
    line: `CommonJS, \`NODE_OPTIONS=${VM_MODULES}\` alone`,
    type: 'commonjs',
    files: { 'lock.test.js': requires + USE },
    flags: [VM_MODULES],
    refused: {
      says: 'no: Jest takes Node 24.9 for it',
      said: 'Must use import to load ES Module',
      on: ['Node 20'],
    },
  },
  {
    line: `ES modules, \`NODE_OPTIONS=${VM_MODULES}\``,
    type: 'module',
    files: { 'jest.config.cjs': commonJs('transform: {},'), 'lock.test.js': imports + USE },
    flags: [VM_MODULES],
  },
  {
    line: 'ES modules, the same, in jsdom: memory, Consul',
    type: 'module',
    files: {
      'jest.config.cjs': commonJs(`testEnvironment: 'jsdom',`, 'transform: {},'),
      'lock.test.js': imports + IN_JSDOM,
    },
    flags: [VM_MODULES],
  },
];

async function testIn(kit: Kit, folder: string, version: string, setup: Setup) {
  const project = await kit.project('jest');
  const node = await kit.node(version);
  const home = join(project, folder);
  await mkdir(home);
  const files = { 'package.json': JSON.stringify({ type: setup.type }), ...setup.files };
  for (const [file, content] of Object.entries(files)) {
    const pointed = content.replace('ETCD', kit.addresses.etcd).replace('CONSUL', kit.addresses.consul);
    await writeFile(join(home, file), pointed);
  }
  const jest = join(project, 'node_modules', 'jest', 'bin', 'jest.js');
  const args = [...(setup.flags ?? []), jest, '--ci', '--cacheDirectory', join(home, 'cache')];
  return run(node, args, { cwd: home, timeout: 180_000 });
}

export const jestRows: Row[] = setups.flatMap((setup, index) =>
  (Object.keys(nodes) as (keyof typeof nodes)[]).map((column): Row => {
    const refused = setup.refused?.on.includes(column) ? setup.refused : undefined;
    return {
      table: 'Jest 30',
      line: setup.line,
      column,
      says: refused?.says ?? 'yes',
      async check(kit) {
        const result = await testIn(kit, `setup-${index}-${nodes[column]}`, nodes[column], setup);
        if (refused) expectEnd(result, 1, refused.said);
        else expectEnd(result, 0, '1 passed, 1 total');
      },
    };
  }),
);
