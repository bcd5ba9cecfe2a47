import { describe, expect, test } from 'vitest';
import { Progress } from './progress.ts';

const bounds = { file: 100_000, run: 300_000 };

describe('F1: when a run has to be ended', () => {
  test('nothing to say while files begin and end in time', () => {
    const progress = new Progress(bounds, 0);
    progress.began('a', 1_000);
    progress.began('b', 2_000);
    progress.ended('a', 90_000);
    expect(progress.overdue(102_000)).toBeUndefined();
    progress.ended('b', 102_000);
    expect(progress.overdue(200_000)).toBeUndefined();
  });

  test('files that take too long are named, and no others', () => {
    const progress = new Progress(bounds, 0);
    progress.began('a', 0);
    progress.began('b', 0);
    progress.began('c', 50_000);
    progress.ended('a', 99_000);
    expect(progress.overdue(101_000)).toBe(
      'These run for longer than a file may, which is 100 s, and hang: b (for 101 s).',
    );
  });

  test('the whole has a bound, too', () => {
    const progress = new Progress(bounds, 0);
    for (let at = 0; at < 300_000; at += 50_000) {
      progress.began(`file ${at}`, at);
      if (at > 0) progress.ended(`file ${at - 50_000}`, at);
    }
    expect(progress.overdue(300_000)).toBeUndefined();
    expect(progress.overdue(300_001)).toBe(
      'All tests together run for longer than they may, which is 5 min. Still running: file 250000 (for 50 s).',
    );
  });

  test('files that began and did not end are named when the run has ended', () => {
    const progress = new Progress(bounds, 0);
    progress.began('a', 0);
    progress.ended('a', 1_000);
    expect(progress.unfinished()).toBeUndefined();
    progress.began('b', 1_000);
    progress.began('c', 1_000);
    expect(progress.unfinished()).toBe('These began and did not end: b, c.');
  });

  test('a run that does not begin, or does not end, is noticed', () => {
    expect(new Progress(bounds, 0).overdue(100_001)).toBe(
      'No file has begun or ended for 100 s. None has begun.',
    );
    const progress = new Progress(bounds, 0);
    for (const file of ['a', 'b', 'c', 'd']) {
      progress.began(file, 0);
      progress.ended(file, 50_000);
    }
    expect(progress.overdue(150_000)).toBeUndefined();
    expect(progress.overdue(150_001)).toContain('The last to end: b, c, d.');
  });
});
