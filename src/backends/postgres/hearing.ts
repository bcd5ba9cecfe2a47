import { randomUUID } from 'node:crypto';
import { SettleOnce } from '../../async/settle-once.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { lateAfter } from '../kit/late.ts';
import type { ListenerLike } from './database.ts';

/** Milliseconds. Until then everybody looks from time to time: it may be long. */
const HEARD_WITHIN = 5_000;

/**
 * Whether what is told arrives on this connection. Behind a PgBouncer in transaction mode nothing does, though LISTEN is accepted.
 *
 * @param notify by another connection: PgBouncer passes on what one connection tells itself.
 */
export async function hears(
  listener: ListenerLike,
  notify: (channel: string) => Promise<unknown>,
): Promise<boolean> {
  const channel = `holdfast-${randomUUID()}`;
  const heard = new SettleOnce<boolean>();
  listener.on('notification', (message) => {
    if (message.channel === channel) heard.resolve(true);
  });
  listener.on('end', () => heard.resolve(false));
  await listener.query(`LISTEN "${channel}"`);
  await notify(channel);
  heard.finally(lateAfter(HEARD_WITHIN, () => heard.resolve(false)));
  const isHeard = await heard.promise;
  if (isHeard) await listener.query(`UNLISTEN "${channel}"`);
  return isHeard;
}

export function deaf(): SyncError {
  const problem =
    'nothing is told at the address of the postgres option "listen" (or "connectionString"): it may lead to a PgBouncer';
  const hint =
    'give "listen" an address of Postgres itself, or false; until then changes are found by looking every 250 ms';
  return refused('unavailable', `${problem}; ${hint}`);
}
