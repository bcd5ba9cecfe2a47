import { readFileSync } from 'node:fs';
import { type CallOptions, SyncError, type SyncManager } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { Grant } from '../../src/sync/callers/grant.ts';
import { Lock } from '../../src/sync/callers/lock.ts';
import { LeaderWork } from '../../src/sync/leadership/leader-work.ts';
import { Leadership } from '../../src/sync/leadership/leadership.ts';
import { SyncManager as Manager } from '../../src/sync/manager/sync-manager.ts';
import { hang, isOwnedPut, settle, setUp, watch } from './faulty.ts';

type Ask = (sync: SyncManager, options: CallOptions) => Promise<unknown>;

/** Public calls that take a signal or a timeout, and what each does where nothing answers. */
const waits: Record<string, { readonly ask: Ask; readonly takes: readonly (keyof CallOptions)[] }> = {
  'SyncManager.acquire': { ask: (sync, options) => sync.acquire('k', options), takes: ['signal', 'timeout'] },
  'SyncManager.tryAcquire': {
    ask: (sync, options) => sync.tryAcquire('k', options),
    takes: ['signal', 'timeout'],
  },
  'SyncManager.withLock': {
    ask: (sync, options) => sync.withLock('k', () => undefined, options),
    takes: ['signal', 'timeout'],
  },
  'SyncManager.runOnce': {
    ask: (sync, options) => sync.runOnce('k', { ...options, atLeast: 1_000 }, () => undefined),
    takes: ['signal', 'timeout'],
  },
  'SyncManager.connect': { ask: (sync, options) => sync.connect(options), takes: ['signal', 'timeout'] },
  'SyncManager.commit': {
    ask: (sync, options) => sync.commit({ then: [{ put: 'data', value: new Uint8Array() }] }, options),
    takes: ['signal'],
  },
  'SyncManager.claim': { ask: (sync, options) => sync.claim('c', options), takes: ['signal', 'timeout'] },
  'SyncManager.query': { ask: (sync, options) => sync.query({ key: 'c' }, options), takes: ['signal'] },
  // Its bound is shown with a backend that never settles.
  'SyncManager.stop': { ask: (sync) => sync.stop(), takes: [] },
  'Lock.lock': { ask: (sync, options) => sync.lock('k').lock(options), takes: ['signal', 'timeout'] },
  'Lock.tryLock': { ask: (sync, options) => sync.lock('k').tryLock(options), takes: ['signal', 'timeout'] },
};

/** Those that end by themselves, as the table in `docs/concepts.md` says. */
const bounded = ['Lock.release', 'Grant.release', 'Leadership.stepDown', 'Leadership.ask', 'LeaderWork.stop'];

/** Those that answer at once, and what is not for users. */
const immediate = [
  'SyncManager.lock',
  'SyncManager.leadershipLock',
  'SyncManager.observe',
  'SyncManager.begin',
  'SyncManager.fork',
  'SyncManager.onStop',
  'SyncManager.watch',
  'SyncManager.health',
  'Lock.onGranted',
  'Lock.rejectCalls',
  'Lock.complete',
  'Leadership.stand',
  'Leadership.whileLeader',
  'Leadership.stop',
  'Grant.assertHeld',
  'Grant.guard',
  'Grant.guardUntil',
  'Grant.reconfirmed',
  'Grant.end',
  'Grant.announce',
  'LeaderWork.rest',
  'LeaderWork.resume',
];

test('every method of the public classes is known here, and every one that can wait is in the documents', () => {
  const methods = [Manager, Lock, Grant, Leadership, LeaderWork].flatMap(({ name, prototype }) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([method, { value }]) => typeof value === 'function' && method !== 'constructor')
      .map(([method]) => `${name}.${method}`),
  );
  expect(methods.toSorted()).toEqual([...Object.keys(waits), ...bounded, ...immediate].toSorted());
  const text = readFileSync(new URL('../../docs/concepts.md', import.meta.url), 'utf8');
  const table = text.slice(text.indexOf('## What can wait'), text.indexOf('## Fencing'));
  for (const call of [...Object.keys(waits), ...bounded]) expect(table).toContain(`${call.split('.')[1]}()`);
});

const LIMIT = 1_000;
const SLACK = 50;

describe.each(['queue', 'race'] as const)('%s', (contention) => {
  const cases = Object.entries(waits).flatMap(([call, { ask, takes }]) =>
    takes.map((by) => [call, by, ask] as const),
  );

  test.each(cases)(
    'B: %s ends by its %s within 50 ms in an outage, with nothing left over',
    async (_, by, ask) => {
      const { clock, make } = setUp(contention);
      // No answer ever comes, nor an error.
      const sync = make(({ signal }) => hang(signal));
      const controller = new AbortController();
      const reason = new Error('enough');
      const call = watch(ask(sync, by === 'signal' ? { signal: controller.signal } : { timeout: LIMIT }));
      await clock.advance(LIMIT - 1);
      expect(call.done).toBe(false);
      if (by === 'signal') controller.abort(reason);
      await clock.advance(SLACK);
      expect(call.done).toBe(true);
      expect(sync.health().waiting).toBe(0);
      await settle(clock, sync.stop({ timeout: 500 }));
      expect(clock.pending).toBe(0);
    },
  );

  test.each(cases)(
    'B: %s ends by its %s within 50 ms behind a refused claim, if not before',
    async (_, by, ask) => {
      const { clock, make } = setUp(contention);
      const sync = make((request, pass) =>
        isOwnedPut(request)
          ? Promise.reject(new SyncError('permission-denied', 'no right', { outcome: 'refused' }))
          : pass(),
      );
      const claim = watch(sync.lock('k').lock());
      await clock.advance(500);
      expect(claim.code).toBe('permission-denied');
      const controller = new AbortController();
      const call = watch(ask(sync, by === 'signal' ? { signal: controller.signal } : { timeout: LIMIT }));
      await clock.advance(LIMIT);
      controller.abort(new Error('enough'));
      await clock.advance(SLACK);
      expect(call.done).toBe(true);
      await settle(clock, sync.stop());
    },
  );
});
