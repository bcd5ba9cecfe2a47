import { postgres } from 'holdfast/postgres';
import { conformance } from 'holdfast/testing';
import { describe, inject, it } from 'vitest';
import { postgresUrl } from '../servers/postgres.ts';
import { uniquePrefix } from './unique-prefix.ts';
import { casesOfPolling } from './waiting.ts';

const connectionString = postgresUrl(inject('postgresAddress'));

describe('postgres', () => {
  const cases = conformance({
    name: 'postgres',
    open: () => postgres({ connectionString }),
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  });
  for (const { name, run } of cases) it.concurrent(name, run, 120_000);
});

describe('postgres, without a connection that listens', () => {
  const cases = conformance({
    name: 'postgres, polled',
    open: () => postgres({ connectionString, listen: false }),
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  });
  for (const { name, run } of casesOfPolling(cases)) it.concurrent(name, run, 120_000);
});
