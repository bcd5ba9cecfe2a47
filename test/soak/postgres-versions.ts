import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embeddedPostgres } from '../servers/embedded-postgres.ts';
import { run } from '../servers/run.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';

/** The newest of each that can be had, as versions of the package `embedded-postgres`. */
export const postgresVersions = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
} as const;

const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const FOLDER = 'test/postgres';
const MORE = ['test/conformance/postgres.test.ts', 'test/scenarios/postgres.test.ts'];
/** All but the one that needs `pg_dump`, which is not in that package. */
const NAMES = '^(?!.*pg_dump)';
const DONE_WITHIN = 900_000;

interface Report {
  readonly numTotalTests: number;
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** The tests of the Postgres backend on another version of Postgres. */
export async function onPostgres(
  version: keyof typeof postgresVersions,
  options: RowOptions,
): Promise<RowResult> {
  const bin = await embeddedPostgres(postgresVersions[version]);
  let [done, tests] = [0, 0];
  while (done < options.count && !isOver(options)) {
    tests = await runTests(bin, version);
    options.onProgress?.(++done);
  }
  return { done, figures: `${tests} tests on PostgreSQL ${postgresVersions[version]}` };
}

/** Resolves to how many there were. */
async function runTests(bin: string, version: number): Promise<number> {
  const names = await readdir(join(root, FOLDER));
  const files = names.filter((name) => name.endsWith('.test.ts'));
  const args = [
    'run',
    ...MORE,
    ...files.map((name) => `${FOLDER}/${name}`),
    '--testNamePattern',
    NAMES,
    '--reporter=json',
  ];
  const { stdout, stderr } = await run(process.execPath, [vitest, ...args], {
    cwd: root,
    timeout: DONE_WITHIN,
    env: { PATH: [bin, process.env.PATH].join(delimiter), HOLDFAST_POSTGRES: '', HOLDFAST_SOAK: '1' },
  });
  const json = stdout.slice(stdout.indexOf('{"numTotal'));
  assert(json.startsWith('{'), `no report of Vitest: ${stdout}${stderr}`);
  const report = JSON.parse(json) as Report;
  const failures = report.testResults.flatMap(({ name, message, assertionResults }) => [
    ...(message === '' ? [] : [`${name}: ${message}`]),
    ...assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join('; ')}`),
  ]);
  const { numTotalTests: total, numPassedTests: passed } = report;
  const verdict = `${passed} of ${total} tests passed on PostgreSQL ${version}`;
  assert(failures.length === 0 && passed > 0, [verdict, ...failures].join('\n'));
  return passed;
}
