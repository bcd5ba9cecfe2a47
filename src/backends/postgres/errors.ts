import { isError } from '../../async/realms.ts';
import { refused, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isTlsFault } from '../kit/tls.ts';

/** SQLSTATEs, as far as they say more than that something was refused. */
const STALE_TIMELINE = 'HF001';
const NOT_DONE = new Set(['40001', '40P01']);
const LOCKED = '55P03';
const MISSING = new Set(['3F000', '42883', '42P01']);
/** A replica takes no writes, and has no timeline of its own to tell. */
const REPLICA = new Set(['25006', '55000']);
const FULL = '53300';
/** The server goes, is not there yet, or has no room. What it says it has not done. */
const NOT_NOW = /^(?:57P03|57014|53...)$/;
const NO_RIGHT = '42501';
const UNKNOWN_USER = /^28...$/;
const NO_DATABASE = '3D000';
/** What to do about a schema that is missing or too old. */
export const HOW_TO_INSTALL =
  'run `install` of holdfast/postgres, or the SQL that `npx holdfast-postgres sql` prints';
/** The server ends the connection, and says nothing of what was under way. */
const ENDED = /^(?:57P..|25P0[34]|08...|XX...)$/;

function stateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The server has answered, on a connection that is as good as before. */
export function isAnswer(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && !ENDED.test(state);
}

/** There is one by this name, or none. */
export function isNotPrepared(error: unknown): boolean {
  const state = stateOf(error);
  return state === '42P05' || state === '26000';
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

/** Somebody keeps it for longer than one may wait. */
export function isLocked(error: unknown): boolean {
  return stateOf(error) === LOCKED;
}

/** Of a value that the database cannot hold, a right that only one of several commits lacks, or a record that somebody keeps. */
export function isOfOne(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && (state === LOCKED || /^(?:22...|23...|54...)$/.test(state));
}

/** What pg says by itself where a server asks for a password and there is none, or a wrong kind of one. */
const NO_PASSWORD = /^SASL: /;

/** The same where the server will not, or says something else. */
const NO_TLS = /SSL connection/;

/** @param sent whether the statement may have left. */
export function syncErrorOf(error: unknown, schema: string, sent: boolean): SyncError {
  if (error instanceof SyncError) return error;
  const message = messageOf(error);
  const state = stateOf(error);
  if (state === undefined && NO_PASSWORD.test(message)) {
    return refused('permission-denied', `Postgres asks for a password, which is missing (${message})`);
  }
  if (
    state === undefined &&
    (isTlsFault((error as { code?: unknown } | undefined)?.code) || NO_TLS.test(message))
  ) {
    const hint = 'check the CA, the name in the certificate, its dates, and whether the server speaks TLS';
    return new SyncError('insecure', `no TLS connection to Postgres (${message}): ${hint}`, {
      outcome: sent ? 'unknown' : 'refused',
    });
  }
  if (state === undefined || ENDED.test(state)) {
    return new SyncError('unavailable', `the connection to Postgres was lost or not made (${message})`, {
      cause: new Error(message),
      outcome: sent ? 'unknown' : 'refused',
    });
  }
  const name = quoteKey(schema);
  if (MISSING.has(state)) {
    return refused(
      'rejected',
      `the schema ${name} is not in this database, or not whole (${message}): ${HOW_TO_INSTALL}`,
    );
  }
  if (state === NO_RIGHT) {
    const hint = `let the owner of the schema ${name} grant what is missing, with \`install\` and its option "role"`;
    return refused('permission-denied', `Postgres denied the role a right (${message}): ${hint}`);
  }
  if (UNKNOWN_USER.test(state)) {
    return refused(
      'permission-denied',
      `Postgres did not let the role in (${message}): check user, password and pg_hba.conf`,
    );
  }
  if (state === NO_DATABASE) {
    return refused(
      'permission-denied',
      `Postgres has no such database (${message}): create it, or correct the address`,
    );
  }
  if (state === FULL) {
    const hint = 'raise max_connections or the limit of the role, or go through PgBouncer';
    return refused('unavailable', `Postgres has no connection left (${message}): ${hint}`);
  }
  if (REPLICA.has(state)) {
    return refused('unavailable', `this Postgres is a replica, and no primary yet (${message})`);
  }
  if (state === LOCKED) {
    return refused('unavailable', `a transaction that is open keeps what is to be removed (${message})`);
  }
  if (NOT_NOW.test(state)) return refused('unavailable', `Postgres cannot do it now (${message})`);
  return refused('rejected', `Postgres refused (${message})`);
}

/** Without the password of an address, which somebody else's function may have put into it. */
function messageOf(error: unknown): string {
  const { message, code } = isError(error)
    ? (error as Error & { code?: unknown })
    : { message: String(error), code: undefined };
  // Of several addresses none of which answers Node says nothing but its code.
  const text = message === '' ? String(code ?? 'without a reason') : message;
  return text.replace(/(\w:\/\/[^\s:/@]*):[^\s/]*@/g, '$1:***@');
}
