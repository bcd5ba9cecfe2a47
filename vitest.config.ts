import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/runner/longest-first.ts';

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** What keeps the processors busy. It goes first and by twos, so that it does not stretch the times that others measure. */
const heavy = [
  'test/simulation/**/*.test.ts',
  'test/conformance/mutants.test.ts',
  'test/sync/schedules.test.ts',
  // Of this one the heap and the descriptors of the process are compared, too.
  'test/real/scale.test.ts',
  'test/real/{bursts,many-locks,stop}.test.ts',
];

/** What needs a process in which nothing ran before. */
const alone = [
  // Classes that ask for a lock are known to the whole process, and every application provides for them.
  'test/nestjs/*.test.ts',
  // It loads libraries of its own.
  'test/postgres/handed-on.test.ts',
  // They replace a module, which others in the process have loaded already.
  'test/kit/{batcher,endpoints}.test.ts',
  'test/postgres/interests.test.ts',
  // It replaces the timers and clocks of the process before some of it is loaded.
  'test/testing/fake-timers.test.ts',
  // They count all sockets and timers of the process.
  'test/etcd/disposal.test.ts',
  'test/testing/tcp-proxy.test.ts',
  // It forces collections of the whole heap, again and again.
  'test/sync/lock-registry.test.ts',
];

const resolve = {
  alias: [
    { find: /^holdfast$/, replacement: source('index.ts') },
    { find: /^holdfast\/(memory|consul|etcd|postgres|kit)$/, replacement: source('backends/$1/index.ts') },
    { find: 'holdfast/opentelemetry', replacement: source('telemetry/index.ts') },
    { find: /^holdfast\/(decorators|di|leases|nestjs|testing)$/, replacement: source('$1/index.ts') },
  ],
};

const common = {
  // More than what a crowded machine is given for what has to come (`patience`).
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Made of one file already, as it would be published.
  server: { deps: { external: [/\/\.cache\/subjects\//] } },
  // A rejection that nobody handles ends the worker, as it would end a service.
  execArgv: ['--unhandled-rejections=strict'],
};

export default defineConfig({
  test: {
    globalSetup: ['test/servers/global-setup.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        resolve,
        test: {
          ...common,
          name: 'alone',
          include: [...heavy, ...alone],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        test: {
          ...common,
          name: 'rest',
          // The fixture hangs or fails on purpose, for the tests of the runner.
          include: [
            'test/**/*.test.ts',
            ...(process.env.HOLDFAST_HANGS ? ['test/runner/hanging.fixture.ts'] : []),
          ],
          exclude: [...heavy, ...alone],
          // Files share the modules of their worker: loaded for each of them, they cost five minutes of processor time.
          isolate: false,
          setupFiles: ['test/each-file.ts'],
          // Most of the time they wait, for expiries above all.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
