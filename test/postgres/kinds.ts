import { sql as drizzleSql } from 'drizzle-orm';
import { drizzle as drizzleOnPg } from 'drizzle-orm/node-postgres';
import { drizzle as drizzleOnPostgres } from 'drizzle-orm/postgres-js';
import {
  drizzleTransaction,
  knexTransaction,
  kyselyTransaction,
  postgresTransaction,
  prismaTransaction,
} from 'holdfast/postgres';
import createKnex from 'knex';
import { Kysely, sql as kyselySql, PostgresDialect } from 'kysely';
import pg from 'pg';
import createPostgres from 'postgres';

/** A transaction of the user's: what goes into `in`, and how he runs a statement of his own in it. */
export interface Joined {
  readonly in: unknown;
  sql(text: string): Promise<unknown>;
}

/** A package with which people talk to Postgres. */
export interface Kind extends AsyncDisposable {
  /** Commits when the work is done, and rolls back when it rejects. */
  transaction<T>(work: (joined: Joined) => Promise<T>): Promise<T>;
  /** Makes what goes into `in` of what is no transaction. */
  outside(): unknown;
}

export const kinds: Record<string, (url: string) => Kind> = {
  pg(url) {
    const pool = new pg.Pool({ connectionString: url });
    return {
      transaction: (work) =>
        inClient(pool, (client) => work({ in: client, sql: (text) => client.query(text) })),
      outside: () => pool,
      [Symbol.asyncDispose]: () => pool.end(),
    };
  },
  postgres(url) {
    const sql = createPostgres(url);
    return {
      transaction: async (work) =>
        (await sql.begin((tx) =>
          work({ in: postgresTransaction(tx), sql: (text) => Promise.resolve(tx.unsafe(text)) }),
        )) as never,
      outside: () => postgresTransaction(sql as never),
      [Symbol.asyncDispose]: () => sql.end(),
    };
  },
  Kysely(url) {
    const db = new Kysely<object>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
    });
    return {
      transaction: (work) =>
        db
          .transaction()
          .execute((trx) =>
            work({ in: kyselyTransaction(trx), sql: (text) => kyselySql.raw(text).execute(trx) }),
          ),
      outside: () => kyselyTransaction(db),
      [Symbol.asyncDispose]: () => db.destroy(),
    };
  },
  Knex(url) {
    const knex = createKnex({ client: 'pg', connection: url });
    return {
      transaction: (work) =>
        knex.transaction((trx) => work({ in: knexTransaction(trx), sql: async (text) => trx.raw(text) })),
      outside: () => knexTransaction(knex),
      [Symbol.asyncDispose]: () => knex.destroy(),
    };
  },
  'Drizzle on pg'(url) {
    const pool = new pg.Pool({ connectionString: url });
    const db = drizzleOnPg(pool);
    return {
      transaction: (work) =>
        db.transaction((tx) =>
          work({ in: drizzleTransaction(tx), sql: async (text) => tx.execute(drizzleSql.raw(text)) }),
        ),
      outside: () => drizzleTransaction(db as never),
      [Symbol.asyncDispose]: () => pool.end(),
    };
  },
  'Drizzle on postgres'(url) {
    const client = createPostgres(url);
    const db = drizzleOnPostgres(client);
    return {
      transaction: (work) =>
        db.transaction((tx) =>
          work({ in: drizzleTransaction(tx), sql: async (text) => tx.execute(drizzleSql.raw(text)) }),
        ),
      outside: () => drizzleTransaction(db as never),
      [Symbol.asyncDispose]: () => client.end(),
    };
  },
  'Prisma 6 (a stand-in)': (url) => standIn(url, ({ code, message }) => ({ code, message })),
  'Prisma 7 (a stand-in)': (url) =>
    standIn(url, ({ code, message }) => ({
      driverAdapterError: { cause: { originalCode: code, originalMessage: message } },
    })),
};

/** As one writes it by hand. */
export async function inClient<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  begin = 'BEGIN',
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query(begin);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

/** No Prisma, whose client is generated: of the little of it that is used, what it does and where it says what Postgres said. */
function standIn(url: string, metaOf: (error: pg.DatabaseError) => object): Kind {
  const pool = new pg.Pool({ connectionString: url });
  const clientOf = (on: pg.PoolClient | pg.Pool) => ({
    async $queryRawUnsafe(text: string, ...values: unknown[]): Promise<unknown> {
      try {
        return (await on.query(text, values)).rows;
      } catch (error) {
        const { code, message } = error as pg.DatabaseError;
        const told = `Raw query failed. Code: \`${code}\`. Message: \`${message}\``;
        throw Object.assign(new Error(told), { code: 'P2010', meta: metaOf(error as pg.DatabaseError) });
      }
    },
    $transaction: () => undefined,
  });
  return {
    transaction: (work) =>
      inClient(pool, (client) => {
        const tx = clientOf(client);
        return work({ in: prismaTransaction(tx), sql: (text) => tx.$queryRawUnsafe(text) });
      }),
    outside: () => prismaTransaction({ ...clientOf(pool), $connect: () => undefined } as never),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
