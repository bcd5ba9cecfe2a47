import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { defaultMetadata } from '../../src/sync/metadata.ts';

const decoder = new TextDecoder();
const START = Date.UTC(2024, 11, 31, 23, 59, 58);

function setUp(start = START) {
  const clock = new VirtualClock({ wall: start });
  const encoded = defaultMetadata('svc "ü"', clock, 1_000);
  const since = (): number => {
    const read = JSON.parse(decoder.decode(encoded()));
    expect(read).toEqual({
      service: 'svc "ü"',
      host: expect.any(String),
      pid: process.pid,
      since: read.since,
    });
    expect(new Date(read.since).toISOString()).toBe(read.since);
    return Date.parse(read.since);
  };
  return { clock, encoded, since };
}

test('the default metadata tells the time to the millisecond, over seconds and years, forward and back', () => {
  const { clock, since } = setUp();
  let at = START;
  for (const step of [0, 7, 92, 1, 899, 1, 0.6, 0.6, 999, 1, 500, -250, -1_000, 86_400_000, -3]) {
    clock.jumpWall(step);
    at += step;
    expect(since()).toBe(Math.floor(at));
  }
});

test('what was given out before does not change', () => {
  const { clock, encoded } = setUp();
  const before = encoded();
  const text = decoder.decode(before);
  clock.jumpWall(5);
  expect(decoder.decode(encoded())).not.toBe(text);
  expect(decoder.decode(before)).toBe(text);
});

test('too large for the store is told', () => {
  const clock = new VirtualClock();
  const encoded = defaultMetadata('svc', clock, 10);
  expect(encoded).toThrow('this store takes at most 10');
  // Also the next time.
  expect(encoded).toThrow('this store takes at most 10');
});
