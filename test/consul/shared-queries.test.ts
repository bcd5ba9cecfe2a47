import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/backends/consul/scope.ts';
import { sharedQueries } from '../../src/backends/consul/shared-queries.ts';

const key = (text: string): Target => ({ text, tree: false });
const tree = (text: string): Target => ({ text, tree: true });

/** `a` for a query on a key, `a*` for one on a prefix, with the number of members. */
const shape = (targets: readonly Target[], budget: number): string[] =>
  sharedQueries(targets, budget).map(
    ({ query, members }) => `${query.text}${query.tree ? '*' : ''} ${members.length}`,
  );

describe('sharedQueries', () => {
  it.each<[string, Target[], number, string[]]>([
    ['nothing', [], 4, []],
    ['one key', [key('a')], 1, ['a 1']],
    ['one prefix', [tree('a/')], 1, ['a/* 1']],
    ['the same twice', [key('a'), key('a')], 4, ['a 1']],
    ['as many as fit', [key('b'), key('a')], 2, ['a 1', 'b 1']],
    ['more than fit', [key('x/a'), key('x/b'), key('x/c')], 2, ['x/* 3']],
    [
      'the largest is split',
      [key('a1'), key('b1'), key('b2'), key('b3')],
      4,
      ['a1 1', 'b1 1', 'b2 1', 'b3 1'],
    ],
    ['narrow groups', [key('a1'), key('a2'), key('b1'), key('b2')], 3, ['a* 2', 'b1 1', 'b2 1']],
    ['a key that begins the others', [key('a'), key('ab'), key('ac')], 3, ['a 1', 'ab 1', 'ac 1']],
    ['the same, too many', [key('a'), key('ab'), key('ac')], 1, ['a* 3']],
    ['a prefix serves what is below it', [tree('a/'), key('a/b'), key('a/c')], 9, ['a/* 3']],
    ['a prefix beside others', [tree('a/'), key('a/b'), key('c')], 9, ['a/* 2', 'c 1']],
    ['nothing in common', [key('a'), key('b')], 1, ['* 2']],
    ['no half characters', [key('x😀'), key('x😁')], 1, ['x* 2']],
    ['no segment of dots', [key('x/.a'), key('x/.b')], 1, ['x/* 2']],
    [
      'shortened to the same',
      [key('x/..a'), key('x/..b'), key('x/.a'), key('x/.b')],
      3,
      ['x/* 2', 'x/.a 1', 'x/.b 1'],
    ],
    ['cut to the same', ['a1', 'a2', 'b1', 'b2'].map((end) => key(`x\u200d${end}`)), 2, ['x* 4']],
  ])('%s', (_, targets, budget, expected) => {
    expect(shape(targets, budget)).toEqual(expected);
  });

  it('covers every target once, within its prefix and the budget, whatever the order', () => {
    const targets = Array.from({ length: 1000 }, (_, i) => key(`locks/${(i * 7919) % 1009}/x${i % 3}`));
    for (const budget of [1, 2, 16, 48, 1000]) {
      const groups = sharedQueries(targets, budget);
      expect(groups.length).toBeLessThanOrEqual(budget);
      expect(groups).toEqual(sharedQueries(targets.toReversed(), budget));
      const members = groups.flatMap((group) => {
        for (const { text } of group.members) expect(text.startsWith(group.query.text)).toBe(true);
        return group.members;
      });
      expect(new Set(members.map(({ text }) => text))).toEqual(new Set(targets.map(({ text }) => text)));
      expect(members.length).toBe(new Set(targets.map(({ text }) => text)).size);
    }
    expect(sharedQueries(targets, 48).length).toBeGreaterThan(36);
  });
});
