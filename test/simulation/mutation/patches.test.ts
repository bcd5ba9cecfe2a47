import { describe, expect, test } from 'vitest';
import { systems } from '../systems.ts';
import { mutate } from './copy.ts';
import { placesIn } from './places.ts';

test.each(systems)('the seeds to try first are of mistakes that there are: $name', (system) => {
  const { caughtBy = {}, mutants } = system;
  expect(Object.keys(mutants)).toEqual(expect.arrayContaining(Object.keys(caughtBy)));
  for (const seed of Object.values(caughtBy)) expect(seed).toBeLessThanOrEqual(2_000);
});

describe.each(systems)('every patch fits the library as it is: $name', ({ mutants }) => {
  test.each(Object.entries(mutants))('%s', (_, patches) => {
    const changed = mutate(patches);
    expect(changed.size).toBeGreaterThan(0);
    // What does not parse is caught by every seed, and shows nothing.
    for (const text of changed.values()) expect(placesIn(text).length).toBeGreaterThan(0);
  });
});
