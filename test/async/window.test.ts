import { describe, expect, test } from 'vitest';
import { Fifo } from '../../src/async/fifo.ts';
import { Window } from '../../src/async/window.ts';

describe('a window of requests', () => {
  test('starts what there is room for at once, and the others in order, the urgent ones first', () => {
    const window = new Window(2);
    const started: string[] = [];
    const enter = (name: string, urgent = false) => window.enter(urgent, () => started.push(name));
    for (const name of ['a', 'b', 'c', 'd']) enter(name);
    enter('urgent', true);
    expect(started).toEqual(['a', 'b']);
    window.leave();
    expect(started).toEqual(['a', 'b', 'urgent']);
    window.leave();
    window.leave();
    expect(started).toEqual(['a', 'b', 'urgent', 'c', 'd']);
    window.leave();
    window.leave();
    enter('e');
    expect(started.at(-1)).toBe('e');
  });

  test('passes over who took it back, and forgets nobody behind', () => {
    const window = new Window(1);
    const started: string[] = [];
    const takeBacks = ['a', 'b', 'c'].map((name) => window.enter(false, () => started.push(name)));
    takeBacks[1]?.();
    window.leave();
    expect(started).toEqual(['a', 'c']);
    window.leave();
    expect(window.tryEnter()).toBe(true);
    expect(window.tryEnter()).toBe(false);
  });
});

test('a queue gives back what was put in, in order, however much of it was taken', () => {
  const queue = new Fifo<number>();
  let [put, taken] = [0, 0];
  for (let round = 1; round <= 300; round++) {
    for (let n = 0; n < round % 7; n++) queue.push(put++);
    for (let n = 0; n < round % 5; n++) {
      const item = queue.shift();
      if (item !== undefined) expect(item).toBe(taken++);
    }
    expect(queue.size).toBe(put - taken);
  }
  expect(taken).toBeGreaterThan(500);
});
