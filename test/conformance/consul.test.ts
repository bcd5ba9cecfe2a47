import { consul } from 'holdfast/consul';
import { conformance } from 'holdfast/testing';
import { describe, inject, it } from 'vitest';
import { uniquePrefix } from './unique-prefix.ts';

const address = inject('consulAddress');

/** Milliseconds. The test server is configured to take less than the usual 10 s. */
const SESSION_TTL_MIN = Number.parseFloat(inject('consulSessionTtlMin')) * 1000;

describe('consul', () => {
  const cases = conformance({
    name: 'consul',
    open: () => consul({ addresses: [address], sessionTtlMin: SESSION_TTL_MIN }),
    prefix: uniquePrefix,
    sessionTtl: SESSION_TTL_MIN,
    expiryFactor: 2,
    lockDelay: 2000,
  });
  for (const { name, run } of cases) it.concurrent(name, run, 120_000);
});
