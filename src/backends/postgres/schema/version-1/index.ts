import { commits } from './commits.ts';
import { looks } from './looks.ts';
import { queues } from './queues.ts';
import { sessions } from './sessions.ts';
import { tables } from './tables.ts';
import { within } from './within.ts';

/**
 * What is created in the database, as of version 1. Functions carry the version in which they came in their names, so that a
 * migration never changes one under a replica of the version before.
 *
 * Locks are always taken in one order: sessions, then records by their keys, then queues and names by their hashes. So no two
 * calls of ours wait for each other.
 *
 * @param s the schema, quoted.
 * @param channel of the notices, as a literal.
 */
export function version1(s: string, channel: string): string {
  return [tables(s), sessions(s, channel), queues(s), looks(s), commits(s), within(s)].join('');
}

/** What the driver calls. Everything else is called by these alone, with the rights of the owner: nobody needs a right to it. */
export const called1 = [
  'hello_1',
  'open_1',
  'renew_1',
  'close_1',
  'bury_1',
  'enter_1',
  'leave_1',
  'enter_many_1',
  'leave_many_1',
  'commit_1',
  'check_1',
  'commit_within_1',
  'look_1',
  'watch_1',
  'unwatch_1',
] as const;
