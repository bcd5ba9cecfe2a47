import type { Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { got, isRemoval, settle, setUp, watch } from './faulty.ts';

describe.each(['queue', 'race'] as const)('C2: what `state$` tells (%s)', (contention) => {
  test('a claim behind a caller of this process waits, and is not idle', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const states: string[] = [];
    const lock = sync.lock('k');
    lock.state$.subscribe(({ name }) => states.push(name));
    void lock.lock();
    await clock.advance(10);
    expect(states).toEqual(['idle', 'waiting']);
    await settle(clock, got(first).release());
    await clock.advance(10);
    expect(states).toEqual(['idle', 'waiting', 'held']);
    await settle(clock, sync.stop());
  });

  test('a claim that waits for the removal of what another left is not releasing', async () => {
    const { clock, make, pause } = setUp(contention);
    // Nothing is handed on, so that there is something to be removed.
    const sync = make(
      async (request, pass) => {
        if (isRemoval(request)) await pause(500);
        return await pass();
      },
      { handOff: { limit: 0 } },
    );
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const states: string[] = [];
    const lock = sync.lock('k');
    void lock.lock();
    lock.state$.subscribe(({ name }) => states.push(name));
    void got(first).release();
    await clock.advance(100);
    expect(states).toEqual(['waiting']);
    await clock.advance(1_000);
    expect(states).toEqual(['waiting', 'seeking', 'held']);
    void lock.release();
    expect(states.at(-1)).toBe('releasing');
    await clock.advance(1_000);
    expect(states.at(-1)).toBe('idle');
    await settle(clock, sync.stop());
  });

  test('after stop() whoever subscribes is told that, and that it is all', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    const [lock, unheard] = [sync.lock('k'), sync.lock('l')];
    lock.state$.subscribe();
    watch(lock.lock());
    await clock.advance(10);
    await settle(clock, sync.stop());
    const states: Observable<{ readonly name: string }>[] = [lock.state$, unheard.state$, sync.session$];
    for (const state$ of states) {
      const seen: string[] = [];
      state$.subscribe({ next: ({ name }) => seen.push(name), complete: () => seen.push('complete') });
      expect(seen).toEqual(['stopped', 'complete']);
    }
    const seen: string[] = [];
    const complete = { complete: () => void seen.push('complete') };
    lock.lost$.subscribe(complete);
    sync.events$.subscribe(complete);
    expect(seen).toEqual(['complete', 'complete']);
  });
});
