import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Backend, Grant, SyncManager } from 'holdfast';
import { busy } from '../busy.ts';
import { live, Managers, uniqueKey, until, type World } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';

/** Milliseconds. */
const REJECTED_WITHIN = 50;
const GONE_WITHIN = 1_000;

/** Where a caller gives up: as the n-th request leaves, as its answer arrives, or so many turns of promises after it asked. */
export type Instant = { readonly at: 'begin' | 'end' | 'turn'; readonly number: number };

export interface AbortCase {
  readonly claim: 'scoped' | 'standing';
  readonly contended: boolean;
  readonly at: Instant['at'];
}

export function abortCases(world: World): readonly AbortCase[] {
  // Only memory answers without a network: there the turns of promises come to an end.
  const instants =
    world.name === 'memory' ? (['begin', 'end', 'turn'] as const) : (['begin', 'end'] as const);
  return (['scoped', 'standing'] as const).flatMap((claim) =>
    [false, true].flatMap((contended) => instants.map((at) => ({ claim, contended, at }))),
  );
}

interface Figures {
  slowestRejection: number;
  slowestCleanup: number;
  aborts: number;
}

/** Aborts at each instant in turn until an acquire completes before it; all of that `count` times. */
export async function aborts(world: World, options: RowOptions): Promise<RowResult> {
  const figures: Figures = { slowestRejection: 0, slowestCleanup: 0, aborts: 0 };
  for (let round = 0; round < options.count && !isOver(options); round++) {
    for (const wanted of abortCases(world)) {
      let number = 0;
      while (await abortAt(world, wanted, ++number, figures));
      // Otherwise nothing was aborted on its way.
      assert(number > 2, `${JSON.stringify(wanted)}: the acquire completed after ${number} instants`);
    }
    options.onProgress?.(round + 1);
  }
  const { slowestRejection, slowestCleanup } = figures;
  return {
    done: figures.aborts,
    figures:
      `${figures.aborts} aborts on ${world.name}: rejected within ${slowestRejection.toFixed(1)} ms, ` +
      `nothing left after ${slowestCleanup.toFixed(0)} ms at most`,
  };
}

/** `false`: the acquire completed before that instant. */
async function abortAt(world: World, { claim, contended, at }: AbortCase, number: number, figures: Figures) {
  await using managers = new Managers(world);
  const operator = managers.operator();
  const key = uniqueKey('abort');
  const controller = new AbortController();
  const { signal } = controller;
  let abortedAt: number | undefined;
  const reason = new Error('gave up');
  const abort = (): void => {
    abortedAt ??= performance.now();
    controller.abort(reason);
  };
  const rival = contended ? await managers.make().acquire(key) : undefined;
  const requests = new Requests(world.backend());
  const sync = managers.make({ backend: requests.backend });
  let over = false;
  requests.onRequest = (count, phase, blocks) => {
    if (over) return;
    // The rival leaves once we wait, so that there is an end to it.
    if (phase === 'begin' && blocks) void rival?.release();
    // Not before the caller of the request has got its promise.
    if (phase === at && count === number) queueMicrotask(abort);
  };
  if (at === 'turn') void afterTurns(number, abort);
  const call = claim === 'scoped' ? sync.acquire(key, { signal }) : sync.lock(key).lock({ signal });
  const outcome = await call.then(
    (grant) => ({ grant }),
    (error: unknown) => ({ error, at: performance.now() }),
  );
  over = true;
  if (!('error' in outcome)) {
    await finish(sync, key, claim, outcome.grant);
    assert.deepEqual(await standing(operator, key), []);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    return abortedAt !== undefined && at !== 'turn';
  }
  const what = `${world.name}, ${claim}, ${contended ? 'contended' : 'free'}, ${at} ${number}`;
  assert.equal(outcome.error, reason, what);
  const rejection = outcome.at - (abortedAt ?? 0);
  assert(rejection <= REJECTED_WITHIN + busy(), `${what}: rejected after ${rejection} ms`);
  assert.equal(getEventListeners(signal, 'abort').length, 0, `${what}: listeners`);
  await rival?.release();
  // The claim outlives its call, and is given up by itself.
  const cleaning = performance.now();
  if (claim === 'standing') await finish(sync, key, claim, undefined);
  const left = async () => (await standing(operator, key)).length + requests.blocked;
  await until(async () => (await left()) === 0, GONE_WITHIN + busy());
  figures.aborts++;
  figures.slowestRejection = Math.max(figures.slowestRejection, rejection);
  figures.slowestCleanup = Math.max(figures.slowestCleanup, performance.now() - cleaning);
  return true;
}

async function finish(
  sync: SyncManager,
  key: string,
  claim: AbortCase['claim'],
  grant: Grant | undefined,
): Promise<void> {
  await (claim === 'scoped' ? grant?.release() : sync.lock(key).release());
}

async function standing(operator: Backend, key: string) {
  return (await operator.query({ prefix: operator.lockPath(key) }, { signal: live })).records;
}

async function afterTurns(count: number, task: () => void): Promise<void> {
  for (let turn = 1; turn < count; turn++) await undefined;
  task();
}

/** A backend that tells of each request of an acquire. */
class Requests {
  readonly backend: Backend;
  onRequest: (count: number, phase: 'begin' | 'end', blocks: boolean) => void = () => {};
  /** Queries that wait for a change. */
  blocked = 0;
  #count = 0;

  constructor(inner: Backend) {
    this.backend = withVerbs(inner, {
      openSession: (options, signal) => this.#tell(false, () => inner.openSession(options, signal)),
      commit: (commit, signal) => this.#tell(false, () => inner.commit(commit, signal)),
      query: (scope, options) => this.#tell(options.since !== undefined, () => inner.query(scope, options)),
    });
  }

  async #tell<T>(blocks: boolean, pass: () => Promise<T>): Promise<T> {
    const count = ++this.#count;
    if (blocks) this.blocked++;
    try {
      const answer = pass();
      this.onRequest(count, 'begin', blocks);
      return await answer;
    } finally {
      if (blocks) this.blocked--;
      this.onRequest(count, 'end', blocks);
    }
  }
}
