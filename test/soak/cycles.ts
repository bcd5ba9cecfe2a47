import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Backend, Grant, SyncManager } from 'holdfast';
import { live, Managers, sessionOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { descriptors, type Levels, levels } from './levels.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';

/** Nothing may grow with the cycles, so this bound is the same for a thousand and for a million of them. */
const MOST_HEAP_GROWTH = 2 * 1024 * 1024;

/** Sockets that a client keeps open between requests come and go. */
const MOST_POOLED = 64;

/** Batches, at most, before the first measurement. */
const WARM_UP = 5;

export interface CycleOptions extends RowOptions {
  /** How many locks are held at a time. */
  readonly batch: number;
}

/**
 * Acquires, and gives back or loses, by a deleted record and by a destroyed session, again and again: heap,
 * descriptors, handles and listeners stay level.
 */
export async function cycles(world: World, options: CycleOptions): Promise<RowResult> {
  const shutdown = new AbortController();
  const atStart = descriptors();
  let [done, warm, lost] = [0, 0, 0];
  let before: Levels | undefined;
  let after: Levels;
  {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const sync = managers.make();
    sync.events$.subscribe((event) => {
      if (event.type === 'lock-lost') lost++;
    });
    const stem = uniqueKey('cycles');
    for (let round = 0; done < options.count && !isOver(options); round++) {
      done += await runBatch(sync, operator, `${stem}/${round}`, stem, options.batch, shutdown.signal);
      options.onProgress?.(done);
      // Compiled code and connections are there by then.
      if (before === undefined && round >= 1 && (done >= options.count / 4 || round >= WARM_UP)) {
        before = await levels();
        warm = done;
      }
    }
    assert(before !== undefined && done > warm, `only ${done} cycles in the time given`);
    after = await levels();
    assert.equal(getEventListeners(shutdown.signal, 'abort').length, 0, 'listeners of a signal');
    const { records } = await operator.query({ prefix: `${stem}/` }, { signal: live });
    assert.deepEqual(records, [], 'records left');
  }
  const grown = {
    heap: after.heapBytes - before.heapBytes,
    descriptors: after.descriptors - before.descriptors,
    handles: after.handles - before.handles,
    listeners: after.listeners - before.listeners,
  };
  const figures =
    `${done} cycles on ${world.name}, ${lost} lost; over the last ${done - warm}: heap ${kib(grown.heap)} KiB ` +
    `(${(grown.heap / (done - warm)).toFixed(2)} B a cycle), descriptors ${grown.descriptors}, handles ${grown.handles}, ` +
    `listeners ${grown.listeners}`;
  assert(lost > 0, 'nothing was lost');
  assert(grown.heap <= MOST_HEAP_GROWTH, figures);
  assert(grown.descriptors <= MOST_POOLED && grown.handles <= 2 * MOST_POOLED, figures);
  assert(grown.listeners <= 0, figures);
  await until(() => descriptors() <= atStart, 5_000);
  return { done, figures };
}

const kib = (bytes: number): string => (bytes / 1024).toFixed(0);

/** Resolves to the number of cycles: of a grant from its making to its end. */
async function runBatch(
  sync: SyncManager,
  operator: Backend,
  fresh: string,
  stem: string,
  size: number,
  signal: AbortSignal,
): Promise<number> {
  const numbers = Array.from({ length: size }, (_, number) => number);
  const standing = numbers.slice(0, size / 5).map((number) => sync.lock(`${stem}/standing/${number}`));
  // New keys each time: what is kept for a key that nobody wants any more would show.
  const scoped = await Promise.all(numbers.map((number) => sync.acquire(`${fresh}/${number}`, { signal })));
  const claims = await Promise.all(standing.map((lock) => lock.lock({ signal })));

  const third = Math.ceil(size / 3);
  const [released, deleted, orphaned] = [
    scoped.slice(0, third),
    scoped.slice(third, 2 * third),
    scoped.slice(2 * third),
  ];
  await Promise.all(released.map((grant) => grant.release()));
  const remove = (grant: Grant) =>
    // A signal of its own, since some clients listen to it for each call.
    operator.commit({ when: [], then: [{ remove: grant.isOwner.key }] }, new AbortController().signal);
  await Promise.all(deleted.map(async (grant) => Promise.all([over(grant), remove(grant)])));
  const ends = [...orphaned, ...claims].map(over);
  await operator.closeSession(await sessionOf(sync), live);
  await Promise.all(ends);
  await Promise.all(standing.map((lock) => lock.lock({ signal })));
  // The second does nothing, and so does one after a loss.
  await Promise.all([...standing, ...standing, ...orphaned].map((held) => held.release()));
  return scoped.length + 2 * standing.length;
}

function over({ signal, key }: Grant): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${key} was not lost`)), 20_000);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
