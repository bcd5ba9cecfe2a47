import { isError } from '../../async/realms.ts';
import { invalid } from '../../contract/options.ts';
import type { Transaction } from './within.ts';

/**
 * What `sync.commit(commit, { in })` takes, made of a transaction of another package than pg. Of each only the little is asked
 * that all of its versions have; what went wrong is told as Postgres said it, without the values of the statement.
 */

type Rows = readonly unknown[];

/** Of the package postgres: `sql.begin((tx) => ...)`. */
export function postgresTransaction(tx: {
  unsafe(text: string, values: never[]): PromiseLike<Rows>;
  readonly savepoint: unknown;
}): Transaction {
  check(tx, 'unsafe', tx?.savepoint !== undefined, 'sql.begin');
  return { query: async (text, values) => ({ rows: [...(await tx.unsafe(text, values as never[]))] }) };
}

/** Of Kysely: `db.transaction().execute((trx) => ...)`. */
export function kyselyTransaction(trx: {
  readonly isTransaction: boolean;
  executeQuery(query: never): PromiseLike<{ readonly rows: Rows }>;
}): Transaction {
  check(trx, 'executeQuery', trx?.isTransaction, 'db.transaction().execute');
  return {
    query: (text, values) => {
      const query = { kind: 'RawNode', sqlFragments: [text], parameters: [] };
      const compiled = { sql: text, parameters: values, query, queryId: { queryId: 'holdfast' } };
      return Promise.resolve(trx.executeQuery(compiled as never));
    },
  };
}

/** Of Knex: `knex.transaction((trx) => ...)`. */
export function knexTransaction(trx: {
  readonly isTransaction?: boolean | undefined;
  raw(text: string, values: never): PromiseLike<{ readonly rows: Rows }>;
}): Transaction {
  check(trx, 'raw', trx?.isTransaction, 'knex.transaction');
  return {
    // Each value is used once, and in this order.
    query: (text, values) =>
      saidBy(
        () => trx.raw(text.replaceAll('?', '\\?').replaceAll(/\$\d+/g, '?'), values as never),
        // Before it, Knex says the statement with its values.
        (error) => errorOf(error.message.slice(error.message.lastIndexOf(' - ') + 3), error.code),
      ),
  };
}

/** Of Drizzle: `db.transaction((tx) => ...)`, with any of its drivers for Postgres. */
export function drizzleTransaction(tx: {
  execute(query: never): PromiseLike<unknown>;
  rollback(): never;
}): Transaction {
  check(tx, 'execute', typeof tx?.rollback === 'function', 'db.transaction');
  return {
    query: (text, values) =>
      saidBy(
        async () => {
          const sql = { toQuery: () => ({ sql: text, params: values }) };
          const said = (await tx.execute({ getSQL: () => sql } as never)) as Rows | { readonly rows: Rows };
          return 'rows' in said ? said : { rows: [...said] };
        },
        // Its own message has the values.
        (error) => error.cause ?? errorOf('the statement failed', error.code),
      ),
  };
}

/** Of Prisma: `prisma.$transaction(async (tx) => ...)`. */
export function prismaTransaction(tx: {
  $queryRawUnsafe(text: string, ...values: never[]): PromiseLike<unknown>;
}): Transaction {
  // What a client has and a transaction has not, in each version; a transaction of Prisma 7 can begin another one in itself.
  const { $connect } = (tx ?? {}) as { readonly $connect?: unknown };
  check(tx, '$queryRawUnsafe', $connect === undefined, 'prisma.$transaction');
  return {
    query: (text, values) =>
      saidBy(
        async () => ({ rows: (await tx.$queryRawUnsafe(text, ...(values as never[]))) as Rows }),
        // Its code says that a raw statement failed; what Postgres said stands below, since Prisma 7 where the driver put it.
        ({ message, meta }) => {
          const said = meta?.driverAdapterError?.cause;
          return errorOf(said?.originalMessage ?? meta?.message ?? message, said?.originalCode ?? meta?.code);
        },
      ),
  };
}

interface Failure {
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly meta?: {
    readonly code?: string;
    readonly message?: string;
    readonly driverAdapterError?: {
      readonly cause?: { readonly originalCode?: string; readonly originalMessage?: string };
    };
  };
}

async function saidBy<T>(ask: () => PromiseLike<T>, of: (error: Failure) => unknown): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw isError(error) ? of(error as Failure) : error;
  }
}

function errorOf(message: string, code: unknown): Error {
  return Object.assign(new Error(message), typeof code === 'string' ? { code } : {});
}

/** What is no transaction would be carried out at once, whatever becomes of the rest. */
function check(given: unknown, method: string, isTransaction: unknown, where: string): void {
  const known = (given ?? {}) as Record<string, unknown>;
  if (typeof known[method] === 'function' && isTransaction === true) return;
  throw invalid('in', `must be a transaction, as ${where} gives it`);
}
