import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../package/built.ts';
import { uniqueKey } from '../scenarios/world.ts';
import { temporaryFolder } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { RowOptions, RowResult } from './row.ts';
import type { StoreName } from './stores.ts';

export interface ManyLocksReport {
  readonly held: number;
  /** Bytes, once garbage is gone. */
  readonly heapPerLock: number;
  readonly renewals: number;
  /** Renewal periods in which those were counted. */
  readonly periods: number;
  /** Connections to the server at a time, at most. */
  readonly sockets: number;
  /** How many sessions were opened before the cut. */
  readonly sessions: number;
  /** By a look at the clock, the instant at which the session may not be believed in any more. */
  readonly heldAtDeadline: number;
  /** How long after the session's deadline the last holder was told, in milliseconds. */
  readonly lateMs: number;
}

/** Of heap, a lock; in memory that of the store as well. */
const MOST_BYTES = { memory: 6_000, etcd: 5_000, consul: 5_000, postgres: 5_000 };

/** Of one manager. */
const MOST_SOCKETS = { memory: 0, etcd: 8, consul: 64, postgres: 4 };

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixture = fileURLToPath(new URL('./many-locks-fixture.ts', import.meta.url));

/** The library as it is published. */
export async function buildLibrary(): Promise<string> {
  const folder = temporaryFolder('built');
  await build(folder);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'dist');
}

/** One process holds `count` locks on one session, and is cut off from its server in the end. */
export async function measureManyLocks(
  built: string,
  store: StoreName,
  address: string,
  kind: 'scoped' | 'standing',
  count: number,
): Promise<ManyLocksReport> {
  const flags = ['--unhandled-rejections=strict', '--expose-gc', program(fixture)];
  const args = [...flags, built, store, address, uniqueKey('many'), String(count), kind];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 230_000 });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as ManyLocksReport;
}

/** The same, and that it is as it has to be. */
export async function manyLocks(
  built: string,
  store: StoreName,
  address: string,
  kind: 'scoped' | 'standing',
  { count }: RowOptions,
): Promise<RowResult> {
  const report = await measureManyLocks(built, store, address, kind, count);
  const { held, heldAtDeadline, heapPerLock, renewals, periods, sessions, sockets, lateMs } = report;
  const figures =
    `${held} ${kind} locks on ${store}: ${(heapPerLock / 1024).toFixed(2)} KiB each, ${renewals} renewals in ` +
    `${periods.toFixed(2)} periods, ${sessions} session, at most ${sockets} connections; cut off, ${heldAtDeadline} held ` +
    `at the deadline, the last was told ${lateMs.toFixed(0)} ms after it`;
  assert.deepEqual([held, heldAtDeadline, sessions], [count, 0, 1], figures);
  assert(renewals >= 1 && renewals <= Math.ceil(periods), figures);
  assert(heapPerLock <= MOST_BYTES[store], figures);
  assert(sockets <= MOST_SOCKETS[store], figures);
  return { done: held, figures };
}
