import { SyncManager } from 'holdfast';
import { type PostgresOptions, postgres } from 'holdfast/postgres';
import { type ConformanceSubject, conformance } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, inject, it, test } from 'vitest';
import { uniquePrefix } from '../conformance/unique-prefix.ts';
import { casesOfPolling } from '../conformance/waiting.ts';
import { uniqueKey, until } from '../scenarios/world.ts';
import { type PgBouncer, startPgBouncer } from '../servers/pgbouncer.ts';
import { postgresUrl } from '../servers/postgres.ts';

const address = inject('postgresAddress');

let bouncer: PgBouncer;
beforeAll(async () => {
  bouncer = await startPgBouncer(address);
}, 300_000);
afterAll(() => bouncer?.[Symbol.asyncDispose]());

const ways: [string, 'pushed' | 'polled', Pick<PostgresOptions, 'listen'>][] = [
  ['that listens at Postgres itself', 'pushed', { listen: postgresUrl(address) }],
  ['that does not listen', 'polled', { listen: false }],
];

describe.each(ways)('through PgBouncer, a client %s', (_, wakes, options) => {
  const open = () => postgres({ connectionString: bouncer.url, ...options });
  const suite: ConformanceSubject = {
    name: 'postgres',
    open,
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  };
  const all = conformance(suite);
  const cases = wakes === 'polled' ? casesOfPolling(all) : all;
  for (const { name, run } of cases) it.concurrent(name, run, 120_000);

  it.concurrent('says how it learns of changes', async () => {
    await using backend = open();
    expect(backend.traits.wakes).toBe(wakes);
  });
});

test('a client that listens through PgBouncer tells so once, and goes on by looking', async () => {
  const make = () =>
    new SyncManager({
      name: 'svc',
      backend: postgres({ connectionString: bouncer.url }),
      session: { ttl: 5_000 },
    });
  await using holder = make();
  await using waiter = make();
  const told: string[] = [];
  waiter.events$.subscribe((event) => {
    if (event.type === 'trouble') told.push(String(event.error));
  });
  const keys = Array.from({ length: 3 }, (_, n) => uniqueKey(`deaf/${n}`));
  const grants = await Promise.all(keys.map((key) => holder.acquire(key)));
  const waiting = keys.map((key) => waiter.acquire(key));
  await until(() => told.length > 0);
  await Promise.all(grants.map((grant) => grant.release()));
  const taken = await Promise.all(waiting);
  expect(taken.map(({ token }, n) => token > (grants[n]?.token ?? token))).toEqual([true, true, true]);
  expect(told).toEqual([
    expect.stringMatching(/nothing is told at the address of the postgres option "listen".*PgBouncer/),
  ]);
});
