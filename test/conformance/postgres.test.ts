import { postgres } from 'holdfast/postgres';
import { conformance } from 'holdfast/testing';
import { describe, inject, it } from 'vitest';
import { endingRules } from '../../src/testing/conformance/ending.ts';
import { queueRules } from '../../src/testing/conformance/queues.ts';
import { scopeRules } from '../../src/testing/conformance/scopes.ts';
import { sessionEndRules } from '../../src/testing/conformance/session-ends.ts';
import { tieRules } from '../../src/testing/conformance/ties.ts';
import { waitRules } from '../../src/testing/conformance/waits.ts';
import { wakeRules } from '../../src/testing/conformance/wakes.ts';
import { watchRules } from '../../src/testing/conformance/watches.ts';
import { postgresUrl } from '../servers/postgres.ts';
import { uniquePrefix } from './unique-prefix.ts';

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
    open: () => postgres({ connectionString, listen: false }),
    prefix: uniquePrefix,
    sessionTtl: 1000,
    expiryFactor: 1,
  });
  // `npm run test:soak -- postgres-versions` runs all of them.
  const chosen = process.env.HOLDFAST_SOAK ? cases : cases.filter(({ name }) => waiting.includes(name));
  for (const { name, run } of chosen) it.concurrent(name, run, 120_000);
});
