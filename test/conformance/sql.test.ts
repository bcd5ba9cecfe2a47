import { conformance } from 'holdfast/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { sqlServer } from './sql/index.ts';
import { uniquePrefix } from './unique-prefix.ts';

describe('a database whose clients are stopped between their statements', () => {
  const { database, open } = sqlServer();
  const cases = conformance({
    name: 'sql',
    open,
    prefix: uniquePrefix,
    sessionTtl: 1_000,
    expiryFactor: 1,
  });
  for (const { name, run } of cases) it.concurrent(name, run, 120_000);

  afterAll(() => {
    expect(database.records.select({ prefix: '' })).toEqual([]);
    expect([...database.sessions.keys()]).toEqual([]);
  });
});
