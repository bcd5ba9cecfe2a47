import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { slowed } from '../busy.ts';
import { live, uniqueKey } from '../scenarios/world.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { RowOptions, RowResult } from './row.ts';
import { type StoreName, worldOf } from './stores.ts';

export interface StopReport {
  readonly held: number;
  readonly tookMs: number;
  readonly removals: number;
  /** Removals under way at once. */
  readonly mostAtOnce: number;
  /** Removals that were not over, or not begun, when the session was closed. */
  readonly removalsAfterClosing: number;
  /** Of `stop()`, by the wall clock. */
  readonly endedAt: number;
}

/** Milliseconds. */
const STOP_WITHIN = 5_000;
const EXIT_WITHIN = 1_000;
const MOST_AT_ONCE = 64;

const fixture = fileURLToPath(new URL('./stop-fixture.ts', import.meta.url));

/** A process that holds `count` locks stops: in time, its keys before its session, and then it ends by itself. */
export async function stopHolding(
  store: StoreName,
  address: string,
  { count }: RowOptions,
): Promise<RowResult> {
  const stem = uniqueKey('stop');
  const args = ['--unhandled-rejections=strict', program(fixture), store, address, stem, String(count)];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 120_000 });
  const exitedAt = Date.now();
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as StopReport;
  const figures =
    `stop() with ${report.held} locks on ${store}: ${report.tookMs.toFixed(0)} ms, ${report.mostAtOnce} releases at once, ` +
    `${report.removalsAfterClosing} keys after the session; exit ${exitedAt - report.endedAt} ms later`;
  assert.deepEqual(
    [report.held, report.removals, report.removalsAfterClosing],
    [count, count, 0],
    `${figures}, ${report.removals} removals`,
  );
  assert(report.tookMs <= slowed(STOP_WITHIN), figures);
  assert(report.mostAtOnce > 1 && report.mostAtOnce <= MOST_AT_ONCE, figures);
  assert(exitedAt - report.endedAt <= slowed(EXIT_WITHIN), figures);
  await using operator = worldOf(store, address).backend();
  const { records } = await operator.query({ prefix: `${stem}/` }, { signal: live });
  assert.equal(records.length, 0, 'records left');
  return { done: report.held, figures };
}
