import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { MOST_TURNS } from '../../src/sync/contender/contender-host.ts';
import { withVerbs } from '../with-verbs.ts';
import { setUp, watch } from './faulty.ts';

const CALLERS = 3 * MOST_TURNS;

/** A store that answers nothing until it is told to, and counts what it is asked. */
function world() {
  const { clock, store, make } = setUp('queue');
  const inner = memory({ store });
  const held: (() => void)[] = [];
  const asked = { commits: 0, queries: 0, atOnce: 0, most: 0 };
  let isSilent = false;
  const backend = withVerbs(inner, {
    query: (scope, options) => {
      asked.queries++;
      return inner.query(scope, options);
    },
    commit: async (commit, signal) => {
      asked.commits++;
      asked.most = Math.max(asked.most, ++asked.atOnce);
      if (isSilent) await new Promise<void>((resolve) => held.push(resolve));
      try {
        return await inner.commit(commit, signal);
      } finally {
        asked.atOnce--;
      }
    },
  });
  const silence = (): void => {
    isSilent = true;
  };
  const answer = (): void => {
    isSilent = false;
    for (const resolve of held.splice(0)) resolve();
  };
  return { clock, store, sync: make(undefined, { backend }), asked, silence, answer };
}

describe('A1: a burst', () => {
  test('asks for so many at a time, and all get what they asked for', async () => {
    const { clock, sync, asked } = world();
    const calls = Array.from({ length: CALLERS }, (_, n) => watch(sync.acquire(`k${n}`)));
    await clock.advance(1_000);
    expect(calls.every(({ value }) => value?.held)).toBe(true);
    expect(asked.commits).toBe(CALLERS);
    expect(asked.most).toBe(MOST_TURNS);
    await clock.advance(1);
    const released = Promise.all(calls.map(({ value }) => value?.release()));
    await clock.advance(1_000);
    await released;
    expect(asked.most).toBe(MOST_TURNS);
    await sync.stop();
  });

  test('that is given up before its turn has asked nothing of the store, and has nothing to remove', async () => {
    const { clock, sync, asked, silence, answer } = world();
    const first = sync.acquire('first');
    await clock.advance(10);
    await first;
    silence();
    const before = { ...asked };
    const calls = Array.from({ length: CALLERS }, (_, n) => watch(sync.acquire(`k${n}`, { timeout: 100 })));
    await clock.advance(200);
    expect(calls.map(({ code }) => code)).toEqual(calls.map(() => 'timeout'));
    // Those whose turn it was.
    expect(asked.commits - before.commits).toBe(MOST_TURNS);
    answer();
    await clock.advance(30_000);
    // Of the others, nobody ever heard: each of the first may need a look at what it left.
    const removals = asked.commits - before.commits - MOST_TURNS;
    expect(removals).toBeLessThanOrEqual(MOST_TURNS);
    expect(sync.health()).toMatchObject({ held: 1, waiting: 0, session: 'live' });
    await sync.stop();
  });

  test('lets those go first who are in line already', async () => {
    const { clock, sync, silence, answer } = world();
    const held = await (async () => {
      const acquired = sync.acquire('held');
      await clock.advance(10);
      return acquired;
    })();
    silence();
    const crowd = Array.from({ length: CALLERS }, (_, n) => watch(sync.acquire(`k${n}`)));
    await clock.advance(10);
    const released = held.release().then(() => {
      return crowd.filter(({ done }) => done).length;
    });
    answer();
    await clock.advance(1_000);
    // It did not wait until all who came before it had had their turn.
    expect(await released).toBeLessThan(2 * MOST_TURNS + 1);
    await sync.stop();
  });
});
