import { MemoryStore, memory } from 'holdfast/memory';
import { type ConformanceCase, type ConformanceClientOptions, conformance } from 'holdfast/testing';
import { describe, expect, it } from 'vitest';
import type { Backend, BackendTraits } from '../../src/contract/backend.ts';
import { mutants } from './mutants/index.ts';
import { uniquePrefix } from './unique-prefix.ts';

/** Milliseconds. Short, since a mutant is caught by what does not happen. The control shows that it is long enough. */
const PATIENCE = 1000;
const TTL = 300;
const COVERAGE_TIMEOUT = 300_000;

type Open = (options: ConformanceClientOptions) => Backend;

function traitsOf(open: Open): BackendTraits {
  return open({ pause: async () => undefined }).traits;
}

function rightMemory(contention: 'queue' | 'race'): Open {
  const store = new MemoryStore({ contention });
  return () => memory({ store });
}

function casesFor(open: Open): ConformanceCase[] {
  const race = traitsOf(open).contention === 'race';
  return conformance({
    name: 'mutant',
    open,
    prefix: uniquePrefix,
    sessionTtl: TTL,
    expiryFactor: 1,
    patience: PATIENCE,
    ...(race && { lockDelay: TTL }),
  });
}

function run(open: Open, name: string): Promise<void> {
  const found = casesFor(open).find((each) => each.name === name);
  if (found === undefined) throw new TypeError(`The suite has no case "${name}".`);
  return found.run();
}

function failureOf(running: Promise<void>): Promise<unknown> {
  return running.then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.name : error),
  );
}

describe('the suite notices that', () => {
  for (const { name, caughtBy, server } of mutants) {
    describe(name, () => {
      it.concurrent.each(caughtBy)('%s', async (rule) => {
        const failure = await failureOf(run(server(), rule));
        expect(['AssertionError', 'SyncError']).toContain(failure);
      });
    });
  }
});

describe('the suite has nothing against a backend that is right, in the same time', () => {
  const rules = mutants.flatMap(({ caughtBy, server, right }) => {
    const { name, contention } = traitsOf(server());
    const open = right ?? (() => rightMemory(contention));
    return caughtBy.map((rule) => ({ rule, store: `${name}, ${contention}`, open }));
  });
  // One after the other: they share the event loop, and a case waits for its turns.
  for (const store of new Set(rules.map((each) => each.store))) {
    describe(store, () => {
      const those = rules.filter((each) => each.store === store);
      it.concurrent.each(those)('$rule', ({ rule, open }) => run(open(), rule));
    });
  }
});

it('every case of the suite fails for some mutant', { timeout: COVERAGE_TIMEOUT }, async () => {
  const passing = new Set<string>();
  const failing = new Set<string>();
  const tryAll = async (open: Open) => {
    for (const { name, run } of casesFor(open)) {
      const failed = (await failureOf(run())) !== 'none';
      (failed ? failing : passing).add(name);
    }
  };
  await Promise.all(mutants.map(({ server }) => tryAll(server())));
  expect([...passing].filter((name) => !failing.has(name))).toEqual([]);
});
