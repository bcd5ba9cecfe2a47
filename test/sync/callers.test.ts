import { getEventListeners } from 'node:events';
import { SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { Notifications } from '../../src/async/notifications.ts';
import { OwnContext } from '../../src/async/own-context.ts';
import { LocalQueue } from '../../src/sync/callers/local-queue.ts';
import { Proofs } from '../../src/sync/callers/proofs.ts';
import type { Ticket } from '../../src/sync/callers/ticket.ts';
import type { ContenderHost } from '../../src/sync/contender/contender-host.ts';

/** How many listeners Node looks at to add and to remove some: each time it walks over all that the signal has. */
function countWalks(signal: AbortSignal): () => number {
  let walked = 0;
  for (const method of ['addEventListener', 'removeEventListener'] as const) {
    const inner = signal[method].bind(signal) as typeof signal.addEventListener;
    signal[method] = (...args: Parameters<typeof signal.addEventListener>): void => {
      walked += getEventListeners(signal, 'abort').length;
      inner(...args);
    };
  }
  return () => walked;
}

const CALLERS = 2_000;

// Counted, and not timed: no machine is too busy for it.
test.each(['acquire', 'lock', 'withLock', 'commit'] as const)(
  'D2: to share one signal costs nobody a walk over the others (%s)',
  async (call) => {
    await using sync = new SyncManager({ name: 'svc', backend: memory() });
    const held = await sync.acquire('k');
    const controller = new AbortController();
    const { signal } = controller;
    const walks = countWalks(signal);
    const asks: Record<typeof call, () => Promise<unknown>> = {
      acquire: () => sync.acquire('k', { signal }),
      lock: () => sync.lock('k').lock({ signal }),
      withLock: () => sync.withLock('k', () => {}, { signal }),
      commit: () => sync.commit({ then: [{ put: 'data', value: 'x' }] }, { signal }),
    };
    const outcomes = Promise.allSettled(Array.from({ length: CALLERS }, asks[call]));
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
    // As each commit ends by itself, it leaves by itself.
    if (call !== 'commit') controller.abort(new Error('enough'));
    const settled = await outcomes;
    const came = call === 'commit' ? 'fulfilled' : 'rejected';
    expect(settled.filter(({ status }) => status === came)).toHaveLength(CALLERS);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(walks()).toBeLessThan(2 * CALLERS);
    await held.release();
  },
);

/** One key's callers in this process, none of whom can ever have the lock: there is no session. */
function lineOf(callers: number): { queue: LocalQueue; tickets: Ticket[] } {
  const clock = new VirtualClock();
  const never = { current: undefined, listen: () => () => undefined, demand: () => undefined };
  const context = new OwnContext();
  const engine = { backend: memory(), clock, context, notifications: new Notifications(), keeper: never };
  const nothing = (): void => undefined;
  const events = { notice: nothing, trouble: nothing };
  const limits = { limit: 0, within: 0 };
  const queue = new LocalQueue(
    engine as unknown as ContenderHost,
    new Proofs(clock),
    'k',
    'k',
    limits,
    events,
    nothing,
  );
  const tickets = Array.from(
    { length: callers },
    (): Ticket => ({ standing: false, value: () => new Uint8Array(), notice: nothing }),
  );
  for (const ticket of tickets) queue.enter(ticket);
  return { queue, tickets };
}

/** Milliseconds of this process's own work, a caller, for all but the first to leave, in this order. */
function costOfLeaving(callers: number, order: 'first' | 'last'): number {
  const { queue, tickets } = lineOf(callers);
  const leaving = tickets.slice(1);
  if (order === 'last') leaving.reverse();
  const before = process.cpuUsage();
  for (const ticket of leaving) void queue.leave(ticket);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / callers;
}

const FEW = 4_000;
const MANY = 128_000;

/**
 * Does not flake: it is the processor's time and not the clock's, the least of several rounds, and bounds a ratio that is
 * 32 for a square and 1 for none.
 */
test.each(['first', 'last'] as const)(
  'D2: who leaves from among many costs what it costs among few (the %s to come first)',
  (order) => {
    let few = Number.POSITIVE_INFINITY;
    let many = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5; round++) {
      // As many of them altogether, since a process's time is told in steps.
      const lines = Array.from({ length: MANY / FEW }, () => costOfLeaving(FEW, order));
      few = Math.min(few, lines.reduce((sum, cost) => sum + cost, 0) / lines.length);
      many = Math.min(many, costOfLeaving(MANY, order));
    }
    console.info(`D2: to leave costs ${(many / few).toFixed(2)} times as much among ${MANY} as among ${FEW}`);
    expect(many / few).toBeLessThan(10);
  },
);
