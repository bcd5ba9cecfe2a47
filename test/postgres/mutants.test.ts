import { conformance } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniquePrefix } from '../conformance/unique-prefix.ts';
import { patience } from '../crowd.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { TestDatabase } from './mutants/database.ts';
import { mutants } from './mutants/index.ts';
import type { Mutant, Replacement } from './mutants/mutant.ts';

/** Milliseconds. Short, since a mutant is caught by what does not happen. The control shows that it is long enough. */
const PATIENCE = patience(2_000);
const TTL = 500;

// A server of its own: its transactions are held open.
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server?.[Symbol.asyncDispose]());

let databases = 0;

/** In a schema of its own. */
async function check(caughtBy: Mutant['caughtBy'], replacements: readonly Replacement[]): Promise<void> {
  const name = `mutant_${++databases}`;
  await using database = await TestDatabase.create(server.url, name, replacements);
  if (typeof caughtBy !== 'string') return await caughtBy.check(database);
  const cases = conformance({
    name,
    open: database.open,
    prefix: uniquePrefix,
    sessionTtl: TTL,
    expiryFactor: 1,
    patience: PATIENCE,
  });
  const found = cases.find((each) => each.name === caughtBy);
  if (found === undefined) throw new TypeError(`The suite has no case "${caughtBy}".`);
  await found.run();
}

/** A case that looks at what is past its time proves nothing where the machine lets it look too late: then it looks again. */
async function noticed(...wrong: Parameters<typeof check>): Promise<void> {
  for (let times = 0; times < 3; times++) await check(...wrong);
}

describe('is noticed', () => {
  it.concurrent.each(mutants)('$name', async ({ caughtBy, replacements }) => {
    await expect(noticed(caughtBy, replacements)).rejects.toMatchObject({ name: 'AssertionError' });
  });
});

describe('the schema as it is passes, in the same time', () => {
  const rules = new Set(mutants.map(({ caughtBy }) => caughtBy));
  const named = [...rules].map((rule) => ({ name: typeof rule === 'string' ? rule : rule.name, rule }));
  it.concurrent.each(named)('$name', ({ rule }) => check(rule, []));
});
