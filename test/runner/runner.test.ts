import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, inject, test, vi } from 'vitest';
import { slowed } from '../busy.ts';
import { patience } from '../crowd.ts';
import { until } from '../scenarios/world.ts';
import { spawnChild, temporaryFolder } from '../servers/child.ts';
import { httpRequest } from '../servers/http.ts';
import { program } from '../servers/program.ts';
import { isRunning } from '../servers/running.ts';
import type { Traces, Way } from './traces.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const FIXTURE = 'test/runner/hanging.fixture.ts';
/** Milliseconds: enough for this machine to start servers and Vitest, and to import the fixture. */
const within = (): number => Math.round(patience(20_000));

vi.setConfig({ testTimeout: 400_000 });

interface Bounds {
  readonly file?: number;
  readonly run?: number;
}

/** One run by the runner, in which the fixture does as it is told. */
class Run {
  stdout = '';
  stderr = '';
  readonly #child;
  readonly code: Promise<number | null>;
  readonly #traces = join(temporaryFolder('runner'), 'traces.json');

  constructor(way: Way | undefined, { file, run }: Bounds, args: readonly string[] = [FIXTURE]) {
    // This file is run by Vitest itself, and the other one must not take itself for its worker.
    const inherited = Object.keys(process.env).filter((name) => /^(VITEST|TEST$|NODE_ENV$)/.test(name));
    const env = {
      ...Object.fromEntries(inherited.map((name) => [name, undefined as unknown as string])),
      NO_COLOR: '1',
      ...(way !== undefined && { HOLDFAST_HANGS: way, HOLDFAST_TRACES: this.#traces }),
      ...(file !== undefined && { HOLDFAST_TEST_FILE_WITHIN: String(file) }),
      ...(run !== undefined && { HOLDFAST_TEST_RUN_WITHIN: String(run) }),
      // `spins` is to leave servers behind, too; the others make do with those that are there.
      HOLDFAST_ETCD: way === 'spins' ? '' : inject('etcdAddress'),
      HOLDFAST_CONSUL: way === 'spins' ? '' : inject('consulAddress'),
      HOLDFAST_POSTGRES: way === 'spins' ? '' : inject('postgresAddress'),
    };
    this.#child = spawnChild(process.execPath, [program(main), ...args], { env });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // With all that it has said.
    this.code = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** What the fixture has told of itself, as soon as it runs. */
  async traces(): Promise<Traces> {
    let over = false;
    void this.code.then(() => {
      over = true;
    });
    await until(
      () => over || (existsSync(this.#traces) && readFileSync(this.#traces, 'utf8') !== ''),
      60_000,
    );
    if (!existsSync(this.#traces)) throw new Error(`the fixture did not run: ${this.stdout}${this.stderr}`);
    return JSON.parse(readFileSync(this.#traces, 'utf8')) as Traces;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

async function goneWithin({ pids }: Traces, bound: number): Promise<void> {
  expect(pids).toHaveLength(3);
  await until(() => !pids.some((pid) => pid === undefined || isRunning(pid)), bound);
}

test.concurrent('F1: a file that spins in microtasks ends the run within its bound, is named, and leaves no process', async () => {
  const file = within();
  const run = new Run('spins', { file });
  const traces = await run.traces();
  const since = performance.now();
  expect((await httpRequest(traces.etcd, '/version')).status).toBe(200);
  expect(await run.code).toBe(1);
  // It began before it told of itself.
  expect(performance.now() - since).toBeLessThan(file + slowed(5_000));
  expect(run.stderr).toMatch(
    new RegExp(
      `These run for longer than a file may, which is \\d+ s, and hang: ${FIXTURE} \\(for \\d+ s\\)\\. The run was ended\\.`,
    ),
  );
  await goneWithin(traces, 5_000);
  await expect(httpRequest(traces.etcd, '/version')).rejects.toThrow('ECONNREFUSED');
});

test.concurrent('F1: a run that takes too long as a whole is ended, and what was running is named', async () => {
  const run = new Run('waits', { run: within() });
  const traces = await run.traces();
  expect(await run.code).toBe(1);
  expect(run.stderr).toMatch(/All tests together run for longer than they may, which is \d+ (s|min)\./);
  expect(run.stderr).toContain(`Still running: ${FIXTURE} (for `);
  await goneWithin(traces, 5_000);
});

test.concurrent('F1: a file whose process dies is named', async () => {
  const run = new Run('dies', {});
  expect(await run.code).toBe(1);
  expect(run.stderr).toContain(`These began and did not end: ${FIXTURE}.\n`);
  await goneWithin(await run.traces(), 5_000);
});

test.concurrent('F1: whoever kills the runner kills the run', async () => {
  const run = new Run('waits', {});
  const traces = await run.traces();
  run.kill('SIGKILL');
  await goneWithin(traces, 5_000);
});

test.concurrent('F1: a signal that ends the runner ends the run', async () => {
  const run = new Run('waits', {});
  const traces = await run.traces();
  run.kill('SIGTERM');
  expect(await run.code).not.toBe(0);
  await goneWithin(traces, 15_000);
});

test.concurrent('F1: a run that ends by itself is as Vitest left it: summary, exit code, arguments', async () => {
  const failing = new Run('fails', {});
  expect(await failing.code).toBe(1);
  expect(failing.stdout).toMatch(/Test Files\s+1 failed \(1\)/);
  // Nor does anything of ours keep it from ending.
  expect(failing.stdout + failing.stderr).not.toMatch(/The run was ended|close timed out/);
  await goneWithin(await failing.traces(), 5_000);

  const passing = new Run(undefined, {}, ['test/async/line.test.ts', '--reporter=json']);
  expect(await passing.code).toBe(0);
  expect(JSON.parse(passing.stdout)).toMatchObject({ success: true, numFailedTests: 0 });
});
