import { describe, expect, test } from 'vitest';
import { systems } from '../systems.ts';
import { mutate } from './copy.ts';
import { placesIn } from './places.ts';

describe.each(systems)('every patch fits the library as it is: $name', ({ mutants }) => {
  test.each(Object.entries(mutants))('%s', (_, patches) => {
    const changed = mutate(patches);
    expect(changed.size).toBeGreaterThan(0);
    // What does not parse is caught by every seed, and shows nothing.
    for (const text of changed.values()) expect(placesIn(text).length).toBeGreaterThan(0);
  });
});
