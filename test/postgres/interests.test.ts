import { expect, test, vi } from 'vitest';
import { Interests } from '../../src/backends/postgres/interests.ts';
import { until } from '../scenarios/world.ts';

const { renewals } = vi.hoisted(() => ({ renewals: [] as (() => void)[] }));

/** What is written down is renewed when the test says so. */
vi.mock('../../src/async/platform.ts', async (original) => {
  const platform = await original<typeof import('../../src/async/platform.ts')>();
  const setTimeout = (work: () => void, ms: number) =>
    ms === 30_000 ? renewals.push(work) : platform.setTimeout(work, ms);
  return { ...platform, setTimeout };
});

test('what could not be written down is written with the next renewal that comes through', async () => {
  let [asked, isAway] = [0, true];
  const interests = new Interests({
    schema: 'holdfast',
    watch: async () => {
      asked++;
      if (isAway) throw new Error('the server is away');
    },
    query: async () => [{ at: '1' }],
    count: () => 7,
  });
  const since = () => interests.add('place/', () => {}).since;
  expect(since()).toBeUndefined();
  await until(() => asked === 1);
  isAway = false;
  renewals.shift()?.();
  await until(() => since() === 7, 2_000);
  await interests.end();
});
