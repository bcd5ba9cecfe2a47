import { randomBytes } from 'node:crypto';
import { installSql, postgres } from 'holdfast/postgres';
import { conformance } from 'holdfast/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { urlFor } from '../postgres/databases.ts';
import { uniquePrefix } from './unique-prefix.ts';
import { casesOfPolling } from './waiting.ts';

const address = inject('postgresAddress');
const superuser = urlFor({ address });

describe('postgres, as a role that may do no more than it must', () => {
  const role = `app_${randomBytes(5).toString('hex')}`;
  const connectionString = urlFor({ address }, { user: role });
  beforeAll(() => sql(`CREATE ROLE ${role} LOGIN; ${installSql({ role })}`));
  afterAll(() => sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`));

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
    open: () => postgres({ connectionString: superuser, listen: false }),
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  });
  for (const { name, run } of casesOfPolling(cases)) it.concurrent(name, run, 120_000);
});

async function sql(text: string): Promise<void> {
  const client = new Client({ connectionString: superuser });
  await client.connect();
  await client.query(text);
  await client.end();
}
