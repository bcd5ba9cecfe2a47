import { getEventListeners } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { uniqueKey } from '../scenarios/world.ts';
import { Site } from './site.ts';
import { stores } from './stores.ts';

const CALLS = 200;

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

let site: Site;
afterEach(() => site[Symbol.asyncDispose]());

// Node walks over all listeners of a signal to add or to remove one: with one at most there is nothing to walk over.
test.each(stores)('D2: calls to %s that share a signal share a listener', async (store) => {
  site = await Site.open(store);
  const sync = site.managers.make();
  const key = uniqueKey('shared');
  // So that all requests are on their way for long enough to be looked at.
  const slow = site.remote();
  await Promise.all(
    [sync, slow].map(async (manager) => (await manager.acquire(uniqueKey('warm'))).release()),
  );
  site.proxy.silence();
  const controller = new AbortController();
  const { signal } = controller;
  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, listenersOf(signal));
  }, 1);
  const commits = Array.from({ length: CALLS }, (_, n) =>
    slow.commit({ then: [{ put: `${key}/${n}`, value: 'x' }] }, { signal }),
  );
  const bare = Array.from({ length: CALLS }, (_, n) =>
    site.operator.commit({ when: [], then: [{ put: `${key}/bare/${n}`, value: Buffer.from('x') }] }, signal),
  );
  await Promise.all(bare);
  // A first wait may be woken for nothing, for as long as it is not certain that all is told.
  let { at } = await site.operator.query({ key }, { signal });
  for (let waited = 0; waited < 900; ) {
    const begun = performance.now();
    ({ at } = await site.operator.query({ key }, { since: at, wait: 1_000, signal }));
    waited = performance.now() - begun;
  }
  const blocked = Array.from({ length: CALLS }, () =>
    site.operator.query({ key }, { since: at, wait: 60_000, signal }),
  );
  const outcomes = Promise.allSettled(commits);
  const woken = Promise.allSettled(blocked);
  await new Promise((resolve) => setTimeout(resolve, 200));
  clearInterval(look);
  expect(listenersOf(signal)).toBe(1);
  expect(most).toBe(1);
  const reason = new Error('enough');
  controller.abort(reason);
  // Over new connections some may have come through.
  const reasons = (await outcomes).map((outcome) =>
    outcome.status === 'rejected' ? outcome.reason : reason,
  );
  expect(new Set(reasons)).toEqual(new Set([reason]));
  // A store may wake for nothing; who still waited was told to end.
  await woken;
  expect(listenersOf(signal)).toBe(0);
});
