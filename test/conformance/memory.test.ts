import { MemoryStore, memory } from 'holdfast/memory';
import { type ConformanceSubject, conformance } from 'holdfast/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { uniquePrefix } from './unique-prefix.ts';

/** Milliseconds. Long enough that a busy machine renews in time. */
const TTL = 1_000;

function subject(store: MemoryStore, expiryFactor: 1 | 2): ConformanceSubject {
  const { contention } = store;
  return {
    name: `memory, ${contention}, expiry after ${expiryFactor} x TTL`,
    open: () => memory({ store }),
    prefix: uniquePrefix,
    sessionTtl: TTL,
    expiryFactor,
    ...(contention === 'race' && { lockDelay: TTL }),
  };
}

const servers = [
  ['queue', 1],
  ['race', 1],
  ['race', 2],
] as const;

for (const [contention, expiry] of servers) {
  const store = new MemoryStore({ contention, expiry });
  const each = subject(store, expiry);
  describe(each.name, () => {
    for (const { name, run } of conformance(each)) it.concurrent(name, run, 120_000);

    afterAll(() => {
      expect({ records: store.records(), sessions: store.sessions(), waiting: store.waiting }).toEqual({
        records: [],
        sessions: [],
        waiting: 0,
      });
    });
  });
}
