import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { uniqueKey } from '../scenarios/world.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { RowOptions, RowResult } from './row.ts';
import type { StoreName } from './stores.ts';

export interface IdleReport {
  readonly held: number;
  readonly lost: number;
  /** Beyond renewals. */
  readonly requestsASecond: number;
  /** Of one core. */
  readonly coreShare: number;
  /** To Postgres, at a time. Of the others they are counted in `many-locks`. */
  readonly connections: number;
}

/** Requests beyond renewals a second, for each 1,000 locks. */
const MOST_REQUESTS = 2;

/** One listens, one renews, one looks, and one buries beside it. */
const MOST_CONNECTIONS = 4;

const fixture = fileURLToPath(new URL('./idle-fixture.ts', import.meta.url));

/** One process holds `count` locks for `ms` milliseconds and does nothing, while another one keeps a processor busy. */
export async function idle(
  ms: number,
  store: StoreName,
  address: string,
  { count }: RowOptions,
  kind: 'locks' | 'leases' = 'locks',
): Promise<RowResult> {
  const busyFor = ms + 60_000;
  const rival = spawn(process.execPath, [
    '-e',
    `const end = Date.now() + ${busyFor}; while (Date.now() < end);`,
  ]);
  try {
    const flags = ['--unhandled-rejections=strict', program(fixture)];
    const args = [...flags, store, address, uniqueKey('idle'), String(count), String(ms), kind];
    const { code, stdout, stderr } = await run(process.execPath, args, { timeout: ms + 120_000 });
    assert.equal(code, 0, stderr);
    const { held, lost, requestsASecond, coreShare, connections } = JSON.parse(stdout) as IdleReport;
    const figures =
      `${held} ${kind} held on ${store}, idle for ${ms / 1_000} s beside a busy processor: ${requestsASecond.toFixed(1)} requests a ` +
      `second beyond renewals, ${(100 * coreShare).toFixed(1)} % of a core, ${lost} lost` +
      (store === 'postgres' ? `, at most ${connections} connections` : '');
    assert.deepEqual([held, lost], [count, 0], figures);
    assert(connections <= MOST_CONNECTIONS, figures);
    assert(requestsASecond <= (MOST_REQUESTS * count) / 1_000, figures);
    return { done: count, figures };
  } finally {
    rival.kill('SIGKILL');
  }
}
