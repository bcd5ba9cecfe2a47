import { describe, expect, test } from 'vitest';
import { settle, setUp } from './faulty.ts';

describe.each(['lost', 'stopped', 'step-down'] as const)(
  'E5: the signal of a term whose work has returned already, %s',
  (how) => {
    test('still aborts when the leadership ends', async () => {
      const { clock, store, make } = setUp('queue');
      const sync = make();
      const signals: AbortSignal[] = [];
      const work = sync.leadership.whileLeader(({ signal }) => {
        signals.push(signal);
      });
      await settle(clock, sync.leadershipLock().lock());
      await clock.advance(10);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
      if (how === 'lost') for (const { id } of store.sessions()) store.destroySession(id);
      else if (how === 'stopped') await settle(clock, work.stop());
      else await settle(clock, sync.leadership.stepDown({ pause: 60_000 }));
      await clock.advance(5_000);
      expect(signals[0]?.aborted).toBe(true);
      await settle(clock, sync.stop());
    });
  },
);
