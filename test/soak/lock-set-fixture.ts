// Run as a process: increments values under locks until it is told to stop, and tells all that it does and sees.

import { createInterface } from 'node:readline';
import { type Grant, isSyncError, SyncManager } from 'holdfast';
import pg from 'pg';
import { QUIET } from '../quiet.ts';
import { givenBack } from '../scenarios/world.ts';
import { postgresUrl } from '../servers/postgres.ts';
import type { Seen, Step } from '../testing/replay.ts';
import { type ClientSettings, isInOrder, type Message, type Variant } from './lock-set-protocol.ts';
import { besideTheLock, noProof, outside, proofBy, type Register, rowsOf } from './lock-set-registers.ts';
import { worldOf } from './stores.ts';

const settings = JSON.parse(process.argv[2] ?? '') as ClientSettings;
const sync = new SyncManager({
  logger: QUIET,
  name: settings.client,
  backend: worldOf(settings.store, settings.address).backend(),
  session: { ttl: settings.ttl, lockDelay: 0 },
});
// It connects where a variant uses it, and not before.
const pool = new pg.Pool({ connectionString: postgresUrl(settings.address), connectionTimeoutMillis: 5_000 });
// Of a connection that broke while nobody used it.
pool.on('error', () => undefined);
const registers: Record<Variant, Register> = {
  commit: besideTheLock(sync, `${settings.stem}/value`),
  tokens: outside(settings.outside.tokens),
  unchecked: outside(settings.outside.unchecked),
  transaction: rowsOf(pool, settings.table, 'transaction', proofBy(sync)),
  unproved: rowsOf(pool, settings.table, 'unproved', noProof),
};
const stopping = new AbortController();
const goOn = new Map<string, () => void>();

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop') stopping.abort(new Error('told to stop'));
  else goOn.get(line)?.();
});
await Promise.all(settings.variants.map(work));
await sync.stop();
await pool.end();
process.stdin.destroy();

function tell(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Milliseconds of the machine's monotonic clock, which is the same one for every process. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function work(variant: Variant): Promise<void> {
  for (let round = 0; !stopping.signal.aborted; round++) {
    const from = now();
    try {
      const grant = await sync.acquire(`${settings.stem}/${variant}`, { signal: stopping.signal });
      saw(variant, from, ['acquire', String(grant.token)]);
      await increment(variant, grant, round);
      const releasing = now();
      const known = await givenBack(sync, grant);
      saw(variant, releasing, [known ? 'release' : 'release?', String(grant.token)]);
    } catch (error) {
      // The session expired while this process was stopped.
      if (!stopping.signal.aborted && !isSyncError(error, 'lost')) throw error;
    }
  }
}

async function increment(variant: Variant, grant: Grant, round: number): Promise<void> {
  look(variant, grant);
  const asking = now();
  const read = await registers[variant].read(grant);
  if (read === 'refused') return;
  const { value } = read;
  if (isInOrder(variant)) saw(variant, asking, value === undefined ? ['read'] : ['read', value]);
  if (!look(variant, grant)) return;
  const next = `${Number(value?.split(' ')[0] ?? 0) + 1} ${settings.client}.${round}`;
  const token = String(grant.token);
  await new Promise<void>((resolve) => {
    goOn.set(variant, resolve);
    tell({ tells: 'between', variant, token, value: next, at: now() });
  });
  // Told, and not heeded: the process may be stopped between any look and its write.
  look(variant, grant);
  const writing = now();
  const outcome = await registers[variant].write(grant, next).catch(() => 'unknown' as const);
  const step = ({ accepted: 'write', refused: 'refused', unknown: 'write?' } as const)[outcome];
  if (isInOrder(variant)) saw(variant, writing, [step, token, next]);
  tell({ tells: 'outcome', variant, token, outcome });
}

/** The instant is taken before the look, since the process may be stopped after it. */
function look(variant: Variant, grant: Grant): boolean {
  const at = now();
  const { held } = grant;
  if (held) tell({ tells: 'seen', variant, seen: seen(at, at, ['look', String(grant.token)]) });
  return held;
}

function saw(variant: Variant, from: number, step: Step): void {
  tell({ tells: 'seen', variant, seen: seen(from, now(), step) });
}

function seen(from: number, to: number, step: Step): Seen {
  return { from, to, client: settings.client, step };
}
