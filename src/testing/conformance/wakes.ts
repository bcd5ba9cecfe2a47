import assert from 'node:assert/strict';
import type { Backend, Scope, StoredRecord } from '../../contract/backend.ts';
import { type Round, stops } from './at-once.ts';
import { type Bench, bytes, text } from './bench.ts';
import type { Rule } from './rule.ts';
import { awaitedLater, quiet, turn } from './timing.ts';

const STORMS = 12;
const STORM_LENGTH = 25;

/** Milliseconds after which a query has surely reached its server and blocks there. */
const UNDER_WAY = 50;

interface Change {
  readonly what: string;
  /** Makes `a` as it is before, where that is not absent. */
  prepare?(bench: Bench, client: Backend, session: string): Promise<unknown>;
  /** Changes `a`, or removes it. */
  make(bench: Bench, client: Backend, session: string): Promise<unknown>;
}

const changes: readonly Change[] = [
  { what: 'a put', make: (bench, client) => bench.put(client, bench.key('a'), 'new') },
  {
    what: 'an owned put',
    make: (bench, client, session) => bench.put(client, bench.key('a'), 'new', session),
  },
  {
    what: 'an overwrite',
    prepare: (bench, client) => bench.put(client, bench.key('a'), 'old'),
    make: (bench, client) => bench.put(client, bench.key('a'), 'new'),
  },
  {
    what: 'a removal',
    prepare: (bench, client) => bench.put(client, bench.key('a'), 'old'),
    make: (bench, client) => bench.remove(client, bench.key('a')),
  },
  {
    what: 'the close of a session',
    prepare: (bench, client, session) => bench.put(client, bench.key('a'), 'old', session),
    make: (bench, client, session) => client.closeSession(session, bench.signal),
  },
];

/** Those that differ in how a store makes them. */
const changesInSteps = changes.filter(({ what }) => what !== 'an owned put' && what !== 'an overwrite');

/** Every change above ends with a new value or, where one was, without a record. */
function shows(records: readonly StoredRecord[], before: readonly StoredRecord[]): boolean {
  return records.length !== before.length || (records.length > 0 && text(records[0]) === 'new');
}

async function expectWake(bench: Bench, change: Change, scope: Scope, late: boolean): Promise<void> {
  const [watcher, actor] = [await bench.client(), await bench.client()];
  const session = await bench.session(actor);
  await change.prepare?.(bench, actor, session);
  const { records: before, at } = await bench.query(watcher, scope);
  const follow = () => bench.follow(watcher, scope, at, (records) => shows(records, before));
  if (late) {
    await change.make(bench, actor, session);
    await follow();
  } else {
    const seen = awaitedLater(follow());
    await quiet(UNDER_WAY);
    await change.make(bench, actor, session);
    await seen;
  }
  await bench.remove(actor, bench.key('a'));
}

const oneChangeRules = changes.flatMap((change): Rule[] => [
  {
    name: `a blocked query wakes for ${change.what}`,
    async check(bench) {
      await expectWake(bench, change, { key: bench.key('a') }, false);
      await expectWake(bench, change, { prefix: bench.prefix }, false);
    },
  },
  {
    name: `a query does not block when its cursor is older than ${change.what}`,
    async check(bench) {
      await expectWake(bench, change, { key: bench.key('a') }, true);
      await expectWake(bench, change, { prefix: bench.prefix }, true);
    },
  },
]);

function changing(bench: Bench, change: Change, watcher: Backend): Round {
  return async (actor, atOnce, name) => {
    const scope = name.endsWith('1') ? { prefix: bench.prefix } : { key: bench.key('a') };
    const session = await bench.session(actor);
    await change.prepare?.(bench, actor, session);
    const { records: before, at } = await bench.query(watcher, scope);
    await atOnce(
      () => change.make(bench, actor, session),
      () => bench.follow(watcher, scope, at, (records) => shows(records, before)),
    );
    await bench.remove(actor, bench.key('a'));
  };
}

function watching(bench: Bench, change: Change, actor: Backend): Round {
  return async (watcher, atOnce) => {
    const scope = { key: bench.key('a') };
    const session = await bench.session(actor);
    await change.prepare?.(bench, actor, session);
    const { records: before } = await bench.query(actor, scope);
    const look = async () => {
      const { records, at } = await bench.query(watcher, scope);
      if (!shows(records, before)) await bench.follow(watcher, scope, at, (shown) => shows(shown, before));
    };
    await atOnce(look, () => change.make(bench, actor, session));
    await bench.remove(actor, bench.key('a'));
  };
}

export const wakeRules: readonly Rule[] = [
  ...oneChangeRules,
  {
    name: 'a blocked query wakes for an expiry',
    slow: true,
    async check(bench) {
      const [watcher, actor] = [await bench.client(), await bench.client()];
      const key = bench.key('a');
      const session = await bench.session(actor, { ttl: bench.subject.sessionTtl });
      await bench.put(actor, key, '', session);
      const scopes: Scope[] = [{ key }, { prefix: bench.prefix }, { prefix: bench.prefix, oldest: 1 }];
      const follow = async (scope: Scope) => {
        const { at } = await bench.query(watcher, scope);
        await bench.follow(watcher, scope, at, (records) => records.length === 0, bench.expiry);
      };
      await Promise.all(scopes.map(follow));
    },
  },
  {
    name: 'a change that was made and undone between the read and the wait hides none that comes later',
    async check(bench) {
      const [watcher, actor] = [await bench.client(), await bench.client()];
      for (const late of [false, true]) {
        const key = bench.key(late ? 'late' : 'early');
        const { at } = await bench.query(watcher, { key });
        await bench.put(actor, key, 'here');
        await bench.remove(actor, key);
        if (!late) await bench.put(actor, key, 'stays');
        const seen = awaitedLater(bench.follow(watcher, { key }, at, ([shown]) => text(shown) === 'stays'));
        // Who has no history may block here: nothing is different.
        if (late) await quiet(UNDER_WAY).then(() => bench.put(actor, key, 'stays'));
        await seen;
      }
    },
  },
  {
    name: 'who waits is told of a change when it can be read, whatever steps it is made in',
    async check(bench) {
      const watcher = await bench.client();
      for (const change of changesInSteps) await stops(bench, changing(bench, change, watcher));
    },
  },
  {
    name: 'who looks and then waits is told of what changes at any step of it',
    async check(bench) {
      const actor = await bench.client();
      for (const change of changesInSteps) await stops(bench, watching(bench, change, actor));
    },
  },
  {
    name: 'a storm of changes is followed to its last value',
    async check(bench) {
      const [watcher, actor] = [await bench.client(), await bench.client()];
      for (let storm = 0; storm < STORMS; storm++) {
        const key = bench.key(`counter-${storm}`);
        const scope = storm % 2 === 0 ? { key } : { prefix: key };
        const { at } = await bench.query(watcher, scope);
        const last = String(STORM_LENGTH);
        const seen = awaitedLater(bench.follow(watcher, scope, at, (records) => text(records[0]) === last));
        for (let i = 1; i <= STORM_LENGTH; i++) {
          await bench.put(actor, key, String(i));
          // Uneven, so that a change falls into every gap of the watcher's loop.
          for (let pause = 0; pause < (i * 7 + storm) % 4; pause++) await turn();
        }
        await seen;
      }
    },
  },
  {
    name: 'all who wait for one key see the change',
    async check(bench) {
      const actor = await bench.client();
      const watchers = [await bench.client(), await bench.client()];
      const key = bench.key('a');
      const { at } = await bench.query(actor, { key });
      const seen = awaitedLater(
        Promise.all(
          [...watchers, ...watchers, ...watchers].map((watcher) =>
            bench.follow(watcher, { key }, at, (records) => text(records[0]) === 'new'),
          ),
        ),
      );
      await quiet(UNDER_WAY);
      await bench.apply(actor, { then: [{ put: key, value: bytes('new') }] });
      assert.equal((await seen).length, 6);
    },
  },
];
