import { MemoryStore, memory } from 'holdfast/memory';
import { type ConformanceCase, conformance } from 'holdfast/testing';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/contract/backend.ts';
import { mutants } from './mutants/index.ts';
import { uniquePrefix } from './unique-prefix.ts';

/** Milliseconds. Short, since a mutant is caught by what does not happen. The control shows that it is long enough. */
const PATIENCE = 1000;
const TTL = 300;
const COVERAGE_TIMEOUT = 300_000;

function casesFor(open: () => Backend): ConformanceCase[] {
  const race = open().traits.contention === 'race';
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

function run(open: () => Backend, name: string): Promise<void> {
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

describe('the suite has nothing against a memory backend that is right, in the same time', () => {
  const rules = mutants.flatMap(({ caughtBy, server }) => {
    const { contention } = server()().traits;
    return caughtBy.map((rule) => ({ contention, rule }));
  });
  it.concurrent.each(rules)('$rule, $contention', async ({ rule, contention }) => {
    const store = new MemoryStore({ contention });
    await run(() => memory({ store }), rule);
  });
});

it('every case of the suite fails for some mutant', { timeout: COVERAGE_TIMEOUT }, async () => {
  const passing = new Set<string>();
  const failing = new Set<string>();
  const tryAll = async (open: () => Backend) => {
    for (const { name, run } of casesFor(open)) {
      const failed = (await failureOf(run())) !== 'none';
      (failed ? failing : passing).add(name);
    }
  };
  await Promise.all(mutants.map(({ server }) => tryAll(server())));
  expect([...passing].filter((name) => !failing.has(name))).toEqual([]);
});
