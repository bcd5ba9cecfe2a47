import { randomBytes } from 'node:crypto';
import { installSql, postgres } from 'holdfast/postgres';
import { conformance } from 'holdfast/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { endingRules } from '../../src/testing/conformance/ending.ts';
import { queueRules } from '../../src/testing/conformance/queues.ts';
import { scopeRules } from '../../src/testing/conformance/scopes.ts';
import { sessionEndRules } from '../../src/testing/conformance/session-ends.ts';
import { tieRules } from '../../src/testing/conformance/ties.ts';
import { waitRules } from '../../src/testing/conformance/waits.ts';
import { wakeRules } from '../../src/testing/conformance/wakes.ts';
import { watchRules } from '../../src/testing/conformance/watches.ts';
import { urlFor } from '../postgres/databases.ts';
import { uniquePrefix } from './unique-prefix.ts';

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

/** What is about waiting. All else is the same code with a connection that listens and without one. */
const waiting = [
  ...queueRules,
  ...sessionEndRules,
  ...scopeRules,
  ...tieRules,
  ...wakeRules,
  ...waitRules,
  ...watchRules,
  ...endingRules,
].map(({ name }) => name);

describe('postgres, without a connection that listens', () => {
  const cases = conformance({
    name: 'postgres, polled',
    open: () => postgres({ connectionString: superuser, listen: false }),
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  });
  // `npm run test:soak -- postgres-versions` runs all of them.
  const chosen = process.env.HOLDFAST_SOAK ? cases : cases.filter(({ name }) => waiting.includes(name));
  for (const { name, run } of chosen) it.concurrent(name, run, 120_000);
});

async function sql(text: string): Promise<void> {
  const client = new Client({ connectionString: superuser });
  await client.connect();
  await client.query(text);
  await client.end();
}
