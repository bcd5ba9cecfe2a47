import { setTimeout as sleep } from 'node:timers/promises';
import { cronCoordinator, type RunOnceResult, systemClock } from 'holdfast';
import { currentGrant } from 'holdfast/decorators';
import { describe, expect, inject, test } from 'vitest';
import { consulWorld, etcdWorld, memoryWorld, postgresWorld } from '../soak/stores.ts';
import { withVerbs } from '../with-verbs.ts';
import { live, Managers, uniqueKey } from './world.ts';

const worlds = [
  { ...memoryWorld(), name: 'memory (queue)' },
  { ...memoryWorld('race'), name: 'memory (race)' },
  etcdWorld(inject('etcdAddress')),
  consulWorld(inject('consulAddress')),
  postgresWorld(inject('postgresAddress')),
];

/** A promise, and what resolves it. */
function gateway(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const HOUR = 3_600_000;
const skipped = (result: RunOnceResult<unknown>): string => (result.ran ? 'ran' : result.why);

describe.each(worlds)('E8: runOnce on $name', (world) => {
  test('of all who ask at once one runs, and within `atLeast` nobody does again', async () => {
    await using managers = new Managers(world);
    const replicas = [managers.make(), managers.make(), managers.make()];
    const key = uniqueKey('job');
    let runs = 0;
    const ask = async () => {
      const results = await Promise.all(
        replicas.map((sync) => sync.runOnce(key, { atLeast: HOUR }, () => ++runs)),
      );
      return results.map(skipped);
    };
    const first = await ask();
    expect(first.filter((outcome) => outcome === 'ran')).toHaveLength(1);
    expect(await ask()).toEqual(['recent', 'recent', 'recent']);
    expect(runs).toBe(1);
    // Of one process, too.
    const own = await Promise.all(
      [1, 2].map(() => replicas[0]?.runOnce(key, { atLeast: HOUR }, () => ++runs)),
    );
    expect([own.map((result) => result && skipped(result)).includes('ran'), runs]).toEqual([false, 1]);
  });

  test('who comes late costs one read and no write', async () => {
    await using managers = new Managers(world);
    const server = world.backend();
    const asked: ('read' | 'write')[] = [];
    const backend = withVerbs(server, {
      commit: (commit, signal) => {
        asked.push(commit.then.length > 0 ? 'write' : 'read');
        return server.commit(commit, signal);
      },
      query: (scope, options) => {
        // On a busy machine the lock is held for so long that its record is watched.
        if (!scope.key?.includes('/.lock/')) asked.push('read');
        return server.query(scope, options);
      },
    });
    const sync = managers.make({ backend });
    await sync.connect();
    const key = uniqueKey('job');
    expect(await sync.runOnce(key, { atLeast: HOUR }, () => 7)).toEqual({ ran: true, value: 7 });
    // The note is looked at; the lock, the note, and the lock again.
    expect(asked.splice(0)).toEqual(['read', 'write', 'write', 'write']);
    expect(await sync.runOnce(key, { atLeast: HOUR }, () => 7)).toEqual({ ran: false, why: 'recent' });
    expect(asked).toEqual(['read']);
  });

  test('a run that lasts is not joined by another one, however long ago it began', async () => {
    await using managers = new Managers(world);
    const [mine, other] = [managers.make(), managers.make()];
    const key = uniqueKey('job');
    const gate = gateway();
    const begun = gateway();
    const run = mine.runOnce(key, { atLeast: 1 }, async (grant) => {
      expect(currentGrant()).toBe(grant);
      begun.resolve();
      await gate.promise;
      return grant.held;
    });
    await begun.promise;
    await sleep(20);
    for (const sync of [mine, other]) {
      expect(await sync.runOnce(key, { atLeast: 1 }, () => 'twice')).toEqual({
        ran: false,
        why: 'not-obtained',
      });
    }
    gate.resolve();
    expect(await run).toEqual({ ran: true, value: true });
    expect(await other.runOnce(key, { atLeast: 1 }, () => 'again')).toEqual({ ran: true, value: 'again' });
  });

  test('a run that fails, or whose process dies in the midst of it, is not run again for that tick', async () => {
    await using managers = new Managers(world);
    const [mine, other] = [managers.make(), managers.make()];
    const [failing, dying] = [uniqueKey('failing'), uniqueKey('dying')];
    const failed = mine.runOnce(failing, { atLeast: HOUR }, () => Promise.reject(new Error('no disk')));
    await expect(failed).rejects.toThrow('no disk');
    expect(await other.runOnce(failing, { atLeast: HOUR }, () => 1)).toEqual({ ran: false, why: 'recent' });

    const begun = gateway();
    const run = mine.runOnce(dying, { atLeast: HOUR }, () => {
      begun.resolve();
      return new Promise(() => undefined);
    });
    run.catch(() => undefined);
    await begun.promise;
    await mine.stop({ timeout: 1_000 });
    expect(await other.runOnce(dying, { atLeast: HOUR }, () => 1)).toEqual({ ran: false, why: 'recent' });
  });

  test('clocks that differ by less than `atLeast`, in either direction, do not run a tick twice', async () => {
    await using managers = new Managers(world);
    const off = (ms: number) =>
      managers.make({ clock: { ...systemClock, wall: () => systemClock.wall() + ms } });
    const [early, right, late] = [off(2_000), off(0), off(-2_000)];
    for (const order of [
      [early, right, late],
      [late, right, early],
    ]) {
      const key = uniqueKey('job');
      const outcomes: string[] = [];
      for (const sync of order) outcomes.push(skipped(await sync.runOnce(key, { atLeast: 5_000 }, () => 1)));
      expect(outcomes).toEqual(['ran', 'recent', 'recent']);
    }
    // Where they differ by more, it is as the documents say: what runs at fixed distances is run again.
    const key = uniqueKey('job');
    expect(skipped(await early.runOnce(key, { atLeast: 1_000 }, () => 1))).toBe('ran');
    expect(skipped(await late.runOnce(key, { atLeast: 1_000 }, () => 1))).toBe('ran');
  });

  test('what is noted can be read by operators, and what is none of ours is left untouched', async () => {
    await using managers = new Managers(world);
    const sync = managers.make({ prefix: 'once' });
    const key = uniqueKey('job');
    let token = 0n;
    await sync.runOnce(key, { atLeast: HOUR }, (grant) => {
      token = grant.token;
    });
    const operator = managers.operator();
    const note = `once/${key}.last-run`;
    const read = async () => {
      const { records } = await operator.query({ key: note }, { signal: live });
      return new TextDecoder().decode(records[0]?.value);
    };
    expect(JSON.parse(await read())).toEqual({
      v: 1,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      token: String(token),
      service: sync.name,
    });
    for (const [text, says] of [
      ['{"v":2}', /was written by a newer version; it is left untouched/],
      ['hello', /is not a note of the last run/],
      ['{"v":1,"at":"yesterday","token":"1"}', /is not a note of the last run/],
      ['null', /is not a note of the last run/],
    ] as const) {
      await operator.commit({ when: [], then: [{ put: note, value: new TextEncoder().encode(text) }] }, live);
      const run = sync.runOnce(key, { atLeast: 1 }, () => 1);
      await expect(run).rejects.toMatchObject({
        code: 'foreign-record',
        message: expect.stringMatching(says),
      });
      expect(await read()).toBe(text);
    }
    expect(await sync.tryAcquire(key)).toBeDefined();
  });

  test('the coordinator of node-cron: each scheduled time once, whatever clocks say', async () => {
    await using managers = new Managers(world);
    const fast = managers.make({ clock: { ...systemClock, wall: () => systemClock.wall() + HOUR } });
    const name = uniqueKey('task');
    const [mine, other] = [cronCoordinator(fast), cronCoordinator(managers.make())];
    const slot = (minute: number) => `${name}:2026-11-26T03:0${minute}:00.000Z`;
    const both = async (minute: number) =>
      (await Promise.all([mine, other].map((each) => each.shouldRun(slot(minute), 0)))).filter(Boolean)
        .length;
    const complete = (minute: number) =>
      Promise.all([mine, other].map((each) => each.onComplete(slot(minute))));
    expect(await both(1)).toBe(1);
    // Still run by somebody.
    expect(await both(2)).toBe(0);
    await complete(1);
    expect(await both(1)).toBe(0);
    expect(await both(3)).toBe(1);
    await complete(3);
    // An earlier one comes too late.
    expect(await both(2)).toBe(0);
    await expect(mine.shouldRun('no time')).rejects.toMatchObject({ code: 'invalid-option' });
    expect(() => cronCoordinator(fast, { prefix: 'a//b' })).toThrow(/option "prefix" has an empty segment/);
    expect(() => cronCoordinator(fast, { key: 'a' } as never)).toThrow(/option "key" is unknown/);
  });
});
