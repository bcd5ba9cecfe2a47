import { describe, expect, test } from 'vitest';
import { paceOf, patienceOf, quotas, rank, score } from '../../src/leases/shares.ts';

const workers = (weights: readonly number[], maxItems = Number.POSITIVE_INFINITY) =>
  weights.map((weight, n) => ({ member: `w${n}`, weight, maxItems, joined: 0n }));
const held = (counts: readonly number[]) => new Map(counts.map((count, n) => [`w${n}`, count]));

describe('shares', () => {
  test.each([
    ['one worker has all', [1], [0], 7, [7]],
    ['K4: of 4 items and 2 workers nobody takes 3', [1, 1], [1, 0], 4, [2, 2]],
    ['K6: two are over the share of a third, who needs two', [1, 1, 1], [3, 3, 0], 6, [2, 2, 2]],
    ['K7: who has one less than the others may', [1, 1, 1], [2, 2, 1], 5, [2, 2, 1]],
    ['K8: one has far more than the others', [1, 1, 1], [0, 1, 5], 6, [2, 2, 2]],
    ['by weight', [1, 2, 3], [0, 0, 0], 12, [2, 4, 6]],
    ['the rest stays where it is', [1, 1, 1], [0, 4, 3], 7, [2, 3, 2]],
    ['whose share is a whole one has no odd item, however much it has', [2, 1, 1], [4, 1, 1], 6, [3, 2, 1]],
    ['a weight below one', [0.5, 1], [0, 0], 3, [1, 2]],
    ['who only waits has no share', [0, 1], [3, 0], 3, [0, 3]],
    ['no items', [1, 1], [0, 0], 0, [0, 0]],
    ['fewer items than workers', [1, 1, 1], [0, 1, 0], 1, [0, 1, 0]],
  ])('%s', (_, weights, counts, items, shares) => {
    expect([...quotas(workers(weights), held(counts), items).values()]).toEqual(shares);
  });

  test('nobody has more than its maximum; others make up for it, and what nobody may have stays free', () => {
    const [first, ...others] = workers([1, 1, 1]);
    const limited = { member: 'w0', weight: first?.weight ?? 1, maxItems: 1, joined: 0n };
    expect([...quotas([limited, ...others], held([0, 0, 0]), 9).values()]).toEqual([1, 4, 4]);
    expect([...quotas(workers([1, 1], 2), held([0, 0]), 9).values()]).toEqual([2, 2]);
  });

  test('LF3: where nobody has more already, those who came last have the odd items', () => {
    const crowd = workers([1, 1, 1]).map((worker, n) => ({ ...worker, joined: n === 1 ? 5n : 3n }));
    expect([...quotas(crowd, held([0, 0, 0]), 1).values()]).toEqual([0, 1, 0]);
    expect([...quotas(crowd, held([1, 0, 0]), 1).values()]).toEqual([1, 0, 0]);
  });

  test('LF7: whatever they weigh and have, all items are shared, and equals differ by one at most', () => {
    for (let seed = 1; seed < 2_000; seed++) {
      const random = (most: number): number => score(`${seed}`, `${most}`) % (most + 1);
      const crowd = workers(Array.from({ length: 1 + random(7) }, () => 1));
      const items = random(40);
      const counts = held(crowd.map((_, n) => score(`${seed}.${n}`, 'c') % 9));
      const shares = [...quotas(crowd, counts, items).values()];
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(items);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
  });

  test('who is in another order sees the same ranks, each once, and members are alike', () => {
    const members = Array.from({ length: 8 }, (_, n) => `member-${n}`);
    const first = new Map(members.map((member) => [member, 0]));
    for (let item = 0; item < 800; item++) {
      const ranks = members.map((member) => rank(`${item}`, member, members.toReversed()));
      expect(ranks.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      const best = members[ranks.indexOf(0)] as string;
      first.set(best, (first.get(best) ?? 0) + 1);
    }
    for (const count of first.values()) expect(count).toBeGreaterThan(60);
  });

  test('the first try at once, few soon, and all others at a pace: one a second where there is a lock-delay', () => {
    const patience = [0, 1, 2, 3, 4, 9].map((each) => patienceOf(each, paceOf(60_000)));
    expect(patience).toEqual([0, 20, 40, 1_040, 2_040, 7_040]);
    expect(patienceOf(3, paceOf(0))).toBe(140);
  });
});
