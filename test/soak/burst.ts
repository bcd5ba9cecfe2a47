import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { uniqueKey } from '../scenarios/world.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { RowOptions, RowResult } from './row.ts';
import type { StoreName } from './stores.ts';

export interface BurstReport {
  /** Of those that were held before the burst. */
  readonly stillHeld: number;
  readonly lost: number;
  /** Requests whose outcome was not known, and what else went wrong on the way. */
  readonly troubles: number;
  readonly trouble: string;
  readonly sessionsEnded: number;
  /** Milliseconds until all were granted: 500 at a time, and all at once. 0 if that was not asked for. */
  readonly chunksMs: number;
  readonly burstMs: number;
}

/** `outage`: the server does not answer for 3 s in the midst of it. `paired`: first the same, 500 at a time. */
export type BurstKind = 'plain' | 'paired' | 'outage';

const fixture = fileURLToPath(new URL('./burst-fixture.ts', import.meta.url));

/** One process, with default options, asks for `count` locks at once while it holds a twentieth of that. */
export async function burst(
  kind: BurstKind,
  store: StoreName,
  address: string,
  { count }: RowOptions,
): Promise<RowResult> {
  const held = count / 20;
  const flags = ['--unhandled-rejections=strict', program(fixture)];
  const args = [...flags, store, address, uniqueKey('burst'), String(count), String(held), kind];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 280_000 });
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout) as BurstReport;
  const { stillHeld, lost, troubles, trouble, sessionsEnded, chunksMs, burstMs } = report;
  const paired =
    kind === 'paired'
      ? `; 500 at a time ${chunksMs.toFixed(0)} ms, ${(burstMs / chunksMs).toFixed(2)} times`
      : '';
  const figures =
    `${count} acquires at once on ${store} (${kind}): ${burstMs.toFixed(0)} ms${paired}; ${lost} lost, ` +
    `${troubles} troubles, ${stillHeld} of ${held} held before still held`;
  assert.deepEqual([stillHeld, lost, sessionsEnded], [held, 0, 0], `${figures}; ${trouble}`);
  // During an outage there is trouble.
  if (kind !== 'outage') assert.equal(troubles, 0, `${figures}; ${trouble}`);
  return { done: count, figures };
}
