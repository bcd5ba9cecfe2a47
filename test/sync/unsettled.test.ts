import { type Backend, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { type Verbs, withVerbs } from '../with-verbs.ts';
import { watch } from './faulty.ts';

const never = (): Promise<never> => new Promise(() => {});
const verbs = ['openSession', 'renewSession', 'closeSession', 'query', 'commit'] as const;

/** From some time on, one verb of a backend neither answers nor heeds its signal. */
function unsettled(
  backend: Backend,
  verb: (typeof verbs)[number] | 'dispose',
  line: { dead: boolean },
): Backend {
  const hung = <T>(pass: () => Promise<T>): Promise<T> => (line.dead ? never() : pass());
  const changed =
    verb === 'dispose'
      ? { [Symbol.asyncDispose]: () => hung(async () => backend[Symbol.asyncDispose]()) }
      : {
          [verb]: (...args: unknown[]) =>
            hung(() => (backend[verb] as (...all: unknown[]) => Promise<unknown>)(...args)),
        };
  return withVerbs(backend, changed as Verbs);
}

for (const contention of ['queue', 'race'] as const) {
  test.each([...verbs, 'dispose'] as const)(
    `B6: stop() ends within its bound although %s never settles (${contention})`,
    async (verb) => {
      const clock = new VirtualClock();
      const store = new MemoryStore({ contention, clock });
      const line = { dead: false };
      const sync = new SyncManager({
        name: 'svc',
        clock,
        backend: unsettled(memory({ store }), verb, line),
        session: { ttl: 10_000, lockDelay: 0 },
      });
      const state = { completed: false };
      sync.session$.subscribe({ complete: () => (state.completed = true) });
      const grant = watch(sync.acquire('held'));
      await clock.advance(10);
      expect(grant.done).toBe(true);
      line.dead = true;
      const waiting = [
        watch(sync.acquire('held')),
        watch(sync.acquire('other')),
        watch(sync.lock('third').lock()),
      ];
      const released = watch(sync.withLock('fourth', () => undefined));
      // Renewals, looks and what else there is have met it.
      await clock.advance(5_000);
      const stopped = watch(sync.stop({ timeout: 2_000 }));
      await clock.advance(2_000);
      expect(stopped).toMatchObject({ done: true, code: undefined });
      expect(waiting.map(({ done }) => done)).toEqual([true, true, true]);
      expect(released.done).toBe(true);
      expect(state.completed).toBe(true);
      expect(clock.pending).toBe(0);
    },
  );
}
