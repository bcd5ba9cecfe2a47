import { expect, test } from 'vitest';
import { byCreation, compareKeys } from '../../src/contract/order.ts';

test('keys are compared by code point, as their bytes in UTF-8 are', () => {
  const keys = ['', 'a', 'a/', 'a0', 'aa', 'b', 'é', '\ud7ff', '\ue000', '\uffee', '\u{10000}', '\u{1f512}'];
  const more = [...keys, ...keys.flatMap((key) => [`${key}x`, `x${key}`, `${key}\u{1f512}`, `${key}\uffee`])];
  for (const a of more) {
    for (const b of more) {
      const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(Math.sign(compareKeys(a, b)), JSON.stringify([a, b])).toBe(bytes);
    }
  }
});

test('the older comes first, and of one commit the first key', () => {
  const records = [
    { key: 'b', created: 3n },
    { key: 'c', created: 2n ** 60n },
    { key: 'a', created: 3n },
    { key: 'd', created: 1n },
  ];
  expect(records.sort(byCreation).map(({ key }) => key)).toEqual(['d', 'a', 'b', 'c']);
});
