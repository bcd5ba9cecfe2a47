import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryStore, memory } from 'holdfast/memory';
import { conformance } from 'holdfast/testing';
import { describe, it } from 'vitest';
import type { Backend, QueryOptions, QueryResult, Scope } from '../../src/contract/backend.ts';
import { withVerbs } from '../with-verbs.ts';
import { uniquePrefix } from './unique-prefix.ts';

/** Milliseconds. */
const POLL = 20;
const LONGEST_WAIT = 60_000;

type Query = Backend['query'];

/** The first who waits from a position is woken for nothing. */
function startled(query: Query): Query {
  const before = new Set<string>();
  return (scope, options) => {
    const { since, signal } = options;
    if (since === undefined || before.has(since)) return query(scope, options);
    before.add(since);
    return query(scope, { signal });
  };
}

/** Compares what stands with what stood: it has no history, and what was made and undone is nothing to it. */
function polled(query: Query): Query {
  return async (scope: Scope, { since, wait = LONGEST_WAIT, signal }: QueryOptions): Promise<QueryResult> => {
    const until = performance.now() + wait;
    for (;;) {
      const { records } = await query(scope, { signal });
      const at = JSON.stringify(records.map(({ key, revision }) => [key, String(revision)]));
      if (since !== at || performance.now() >= until) return { records, at };
      await sleep(POLL);
      signal.throwIfAborted();
    }
  };
}

describe('the suite leaves a backend free', () => {
  for (const [freedom, way] of [
    ['to wake for nothing', startled],
    ['to poll, and to remember nothing', polled],
  ] as const) {
    const store = new MemoryStore();
    const cases = conformance({
      name: freedom,
      open: () => {
        const backend = memory({ store });
        return withVerbs(backend, { query: way((scope, options) => backend.query(scope, options)) });
      },
      prefix: uniquePrefix,
      sessionTtl: 1_000,
      expiryFactor: 1,
    });
    describe(freedom, () => {
      for (const { name, run } of cases) it.concurrent(name, run, 120_000);
    });
  }
});
