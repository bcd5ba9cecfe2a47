import { setTimeout as sleep } from 'node:timers/promises';
import { type Grant, isSyncError, type SyncManager } from 'holdfast';
import type { LockHistory } from 'holdfast/testing';
import { givenBack } from '../scenarios/world.ts';

/** Milliseconds, at most. */
const HOLD = 20;

/**
 * One client takes turns at a lock, and increments a value under it, whatever fails on the way. It ends when the signal
 * aborts, and with its manager: a call of one that was stopped rejects at once, and a loop of such calls would never let
 * anything else run.
 */
export async function contend(
  sync: SyncManager,
  key: string,
  client: string,
  history: LockHistory,
  signal: AbortSignal,
  onTurn: () => void,
): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    const grant = await acquire(sync, key, client, history, signal);
    if (grant === 'over') return;
    if (grant === undefined) continue;
    await increment(sync, grant, client, `${client}.${round}`, history);
    const releasing = history.releasing(client, grant.token);
    if (await givenBack(sync, grant)) releasing.done();
    onTurn();
  }
}

async function acquire(
  sync: SyncManager,
  key: string,
  client: string,
  history: LockHistory,
  signal: AbortSignal,
): Promise<Grant | 'over' | undefined> {
  const acquiring = history.acquiring(client);
  try {
    const grant = await sync.acquire(key, { signal });
    acquiring.granted(grant.token);
    return grant;
  } catch (error) {
    acquiring.unknown();
    return isSyncError(error, 'stopped') ? 'over' : undefined;
  }
}

/** Reads, holds for a while, writes: as far as the server answers. */
async function increment(
  sync: SyncManager,
  grant: Grant,
  client: string,
  value: string,
  history: LockHistory,
): Promise<void> {
  const data = `${grant.key}/data`;
  const look = (): void => {
    if (grant.held) history.looked(client, grant.token);
  };
  const reading = history.reading(client);
  const before = await sync.commit({ when: [grant.isOwner], read: { key: data } }).catch(() => undefined);
  if (before?.ok) {
    const [record] = before.read ?? [];
    reading.got(record && new TextDecoder().decode(record.value));
  }
  look();
  await sleep(Math.random() * HOLD);
  look();
  const writing = history.writing(client, grant.token, value);
  try {
    const { ok } = await sync.commit({ when: [grant.isOwner], then: [{ put: data, value }] });
    if (ok) writing.accepted();
    else writing.refused();
  } catch {
    writing.unknown();
  }
  look();
}
