import { isError } from '../../async/realms.ts';
import { refused, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';

/** SQLSTATEs, as far as they say more than that something was refused. */
const STALE_TIMELINE = 'HF001';
const NOT_DONE = new Set(['40001', '40P01', '55P03']);
const MISSING = new Set(['3F000', '42883', '42P01', '42704']);
/** The server goes, is not there yet, is a replica, or has no room. What it says it has not done. */
const NOT_NOW = /^(?:57P03|57014|25006|53...)$/;
const DENIED = /^(?:42501|28...|3D000)$/;
/** The server ends the connection, and says nothing of what was under way. */
const ENDED = /^(?:57P..|25P0[34]|08...|XX...)$/;

function stateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The primary is another one than it was: ask it who it is, and again. */
export function isStale(error: unknown): boolean {
  return stateOf(error) === STALE_TIMELINE;
}

/** The whole transaction was taken back, since it and another one stood in each other's way. */
export function isNotDone(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && NOT_DONE.has(state);
}

/** Of a value that the database cannot hold, or of a right that only one of several commits lacks. */
export function isOfOne(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && /^(?:22...|23...|54...)$/.test(state);
}

/** @param sent whether the statement may have left. */
export function syncErrorOf(error: unknown, schema: string, sent: boolean): SyncError {
  if (error instanceof SyncError) return error;
  const message = isError(error) ? error.message : String(error);
  const cause = new Error(message);
  const state = stateOf(error);
  if (state === undefined || ENDED.test(state)) {
    return new SyncError('unavailable', `the connection to Postgres was lost or not made (${message})`, {
      cause,
      outcome: sent ? 'unknown' : 'refused',
    });
  }
  if (MISSING.has(state)) {
    const hint =
      'create it with `install` of holdfast/postgres, or print its SQL with `npx holdfast-postgres sql`';
    return refused(
      'rejected',
      `the schema ${quoteKey(schema)} is not in this database, or not whole (${message}): ${hint}`,
    );
  }
  if (DENIED.test(state)) return refused('permission-denied', `Postgres refused (${message})`);
  if (NOT_NOW.test(state)) return refused('unavailable', `Postgres cannot do it now (${message})`);
  return refused('rejected', `Postgres refused (${message})`);
}
