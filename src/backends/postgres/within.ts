import type { Commit, CommitResult } from '../../contract/backend.ts';
import { refused, SyncError } from '../../contract/errors.ts';
import { invalid } from '../../contract/options.ts';
import { isLocked, isNotDone, isStale, syncErrorOf } from './errors.ts';
import type { Server } from './server.ts';
import { resultOf, type Said, sqlCommit } from './statements.ts';

/** A transaction of the user's: a client of the package pg inside of BEGIN, or what one of the adapters makes of another one. */
export interface Transaction {
  /** Runs one statement on the connection that the transaction is open on. */
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

interface Answer {
  readonly said: string;
  readonly transaction: string | null;
}

/** As `Driver.within`, with the transaction's number while there is something of ours in it. */
export async function commitWithin(
  server: Server,
  given: unknown,
  commit: Commit,
): Promise<{ readonly result: CommitResult; readonly id: string | undefined }> {
  const transaction = transactionOf(given);
  const timeline = await server.timeline();
  const text =
    'SELECT said::text AS said, in_transaction::text AS transaction ' +
    `FROM ${server.schema}.commit_within_1($1, $2::text::jsonb)`;
  const values = [timeline, JSON.stringify(sqlCommit(commit))];
  let answer: Answer;
  try {
    const { rows } = await transaction.query(text, values);
    if (rows[0] === undefined)
      throw new SyncError('bad-response', 'the transaction gave no row to a statement that has one');
    answer = rows[0] as Answer;
  } catch (error) {
    if (isStale(error)) server.forgetTimeline();
    throw errorWithin(error, server);
  }
  const said = JSON.parse(answer.said) as Said & { readonly isolation?: string };
  if (said.isolation !== undefined) throw tooIsolated(said.isolation);
  return { result: resultOf(said), id: answer.transaction ?? undefined };
}

/** A pool would carry it out on any connection, and at once. */
function transactionOf(given: unknown): Transaction {
  const { query, idleCount, getTransactionStatus } = (given ?? {}) as Record<string, unknown>;
  const hint =
    'give a client of the package pg, or what an adapter of holdfast/postgres makes of another one';
  if (typeof query !== 'function') throw invalid('in', `must be a transaction: ${hint}`);
  const status = typeof getTransactionStatus === 'function' ? getTransactionStatus.call(given) : undefined;
  if (idleCount !== undefined || status === 'I') {
    throw invalid('in', `must be a client on which a transaction has begun: ${hint}, after BEGIN`);
  }
  return given as Transaction;
}

function tooIsolated(isolation: string): SyncError {
  const why = 'it does not see what others have made since it began';
  return refused(
    'invalid-option',
    `a transaction that is ${isolation} cannot have a condition that a record is "absent" or "unowned" without a put of the ` +
      `same key, nor count: ${why}; use READ COMMITTED`,
  );
}

/** Postgres has taken back all of the transaction, and only the user can run it again. */
function errorWithin(error: unknown, server: Server): SyncError {
  const again = 'roll the transaction back, and run it again';
  if (isStale(error)) return refused('unavailable', `Postgres has another primary now: ${again}`);
  if (!isNotDone(error) && !isLocked(error)) return server.errorOf(error);
  const { message } = syncErrorOf(error, '', true);
  return refused('unavailable', `the transaction gave way to another one: ${again}. ${message}`);
}
