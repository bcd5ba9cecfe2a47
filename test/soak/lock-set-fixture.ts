// Run as a process: increments values under locks until it is told to stop, and tells all that it does and sees.

import { createInterface } from 'node:readline';
import { type Grant, isSyncError, SyncManager } from 'holdfast';
import { QUIET } from '../quiet.ts';
import type { Seen, Step } from '../testing/replay.ts';
import {
  type ClientSettings,
  type Message,
  type Outcome,
  type Variant,
  variants,
} from './lock-set-protocol.ts';
import { worldOf } from './stores.ts';

const settings = JSON.parse(process.argv[2] ?? '') as ClientSettings;
const sync = new SyncManager({
  logger: QUIET,
  name: settings.client,
  backend: worldOf(settings.store, settings.address).backend(),
  session: { ttl: settings.ttl, lockDelay: 0 },
});
const stopping = new AbortController();
const goOn = new Map<string, () => void>();

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop') stopping.abort(new Error('told to stop'));
  else goOn.get(line)?.();
});
await Promise.all(variants.map(work));
await sync.stop();
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
      await grant.release();
      saw(variant, releasing, ['release', String(grant.token)]);
    } catch (error) {
      // The session expired while this process was stopped.
      if (!stopping.signal.aborted && !isSyncError(error, 'lost')) throw error;
    }
  }
}

async function increment(variant: Variant, grant: Grant, round: number): Promise<void> {
  look(variant, grant);
  const value = await read(variant, grant);
  if (value === 'refused' || !look(variant, grant)) return;
  await new Promise<void>((resolve) => {
    goOn.set(variant, resolve);
    tell({ tells: 'between', variant, token: String(grant.token) });
  });
  // Told, and not heeded: the process may be stopped between any look and its write.
  look(variant, grant);
  const next = `${Number(value.split(' ')[0]) + 1} ${settings.client}.${round}`;
  const from = now();
  const outcome = await write(variant, grant, next);
  const step = ({ accepted: 'write', refused: 'refused', unknown: 'write?' } as const)[outcome];
  if (variant === 'commit') saw(variant, from, [step, String(grant.token), next]);
  tell({ tells: 'outcome', variant, token: String(grant.token), outcome });
}

/** The instant is taken before the look, since the process may be stopped after it. */
function look(variant: Variant, grant: Grant): boolean {
  const at = now();
  const { held } = grant;
  if (held) tell({ tells: 'seen', variant, seen: seen(at, at, ['look', String(grant.token)]) });
  return held;
}

async function read(variant: Variant, grant: Grant): Promise<string | 'refused'> {
  if (variant !== 'commit') {
    const response = await fetch(settings.outside[variant], { headers: { 'x-token': String(grant.token) } });
    return response.ok ? await response.text() : 'refused';
  }
  const from = now();
  const asked = sync.commit({ when: [grant.isOwner], read: { key: `${settings.stem}/value` } });
  const result = await asked.catch((error: unknown) => {
    // This process was stopped for as long as a request may take.
    if (isSyncError(error, 'unavailable')) return undefined;
    throw error;
  });
  if (!result?.ok) return 'refused';
  const [record] = result.read ?? [];
  const value = record === undefined ? undefined : new TextDecoder().decode(record.value);
  saw(variant, from, value === undefined ? ['read'] : ['read', value]);
  return value ?? '';
}

async function write(variant: Variant, grant: Grant, value: string): Promise<Outcome> {
  try {
    if (variant === 'commit') {
      const then = [{ put: `${settings.stem}/value`, value }];
      return (await sync.commit({ when: [grant.isOwner], then })).ok ? 'accepted' : 'refused';
    }
    const headers = { 'x-token': String(grant.token) };
    const response = await fetch(settings.outside[variant], { method: 'PUT', headers, body: value });
    await response.text();
    return response.ok ? 'accepted' : 'refused';
  } catch {
    return 'unknown';
  }
}

function saw(variant: Variant, from: number, step: Step): void {
  tell({ tells: 'seen', variant, seen: seen(from, now(), step) });
}

function seen(from: number, to: number, step: Step): Seen {
  return { from, to, client: settings.client, step };
}
