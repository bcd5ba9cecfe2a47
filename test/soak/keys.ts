import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { RowOptions, RowResult } from './row.ts';

export interface KeysReport {
  readonly done: number;
  /** Bytes, once garbage is gone, since before the first of these keys. */
  readonly heapGrowth: number;
  readonly slowestHealthMs: number;
}

/** How keys are used once each: by a standing claim, or by a scoped acquire. */
export type KeyUse = 'standing' | 'scoped';

/** Of heap, a key that was locked and released. */
const MOST_BYTES_A_KEY = 20;

const fixture = fileURLToPath(new URL('./keys-fixture.ts', import.meta.url));

/** As many distinct keys are locked and released on the memory backend, each in a request of its own: nothing of them stays. */
export async function keys(use: KeyUse, { count }: RowOptions): Promise<RowResult> {
  const args = ['--unhandled-rejections=strict', '--expose-gc', program(fixture), use, String(count)];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 60_000 + count });
  assert.equal(code, 0, stderr);
  const { done, heapGrowth, slowestHealthMs } = JSON.parse(stdout) as KeysReport;
  const figures =
    `${done} distinct keys, ${use}, locked and released: ${(heapGrowth / done).toFixed(2)} B of heap a key, ` +
    `health() in at most ${slowestHealthMs.toFixed(2)} ms`;
  assert.equal(done, count);
  assert(heapGrowth <= MOST_BYTES_A_KEY * done, figures);
  return { done, figures };
}
