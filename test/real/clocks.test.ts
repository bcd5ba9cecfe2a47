import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from 'holdfast';
import { expect, test } from 'vitest';
import { losses, Managers, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { Holder } from './holder.ts';
import { recorded } from './recorded.ts';
import { addressOf, PATIENT } from './site.ts';
import { connectTo, stores } from './stores.ts';

const HOUR = 3_600_000;
const TTL = 10_000;
/** Milliseconds: in a session that is renewed so rarely, each renewal is a verification, however slow the machine is. */
const LONG_TTL = 600_000;
const RENEWED_AFTER = 500_000;
const LOCKS = 25;

test.concurrent.each(stores)(
  'FAULTS 12: the wall clock is set forward or back by an hour while locks are held on %s: no loss, at most one verification',
  async (store) => {
    const backend = () => connectTo(store, addressOf(store));
    await using managers = new Managers({ name: store, ttl: LONG_TTL, lockDelay: 0, backend });
    let lead = 0;
    const clock: Clock = { ...systemClock, wall: () => systemClock.wall() + lead };
    const watched = recorded(backend());
    const session = { ttl: LONG_TTL, lockDelay: 0, renewInterval: RENEWED_AFTER };
    const manager = managers.make({ backend: watched.backend, clock, session });
    // What had no answer on a busy machine is asked again, and has verified nothing.
    const renewals = () =>
      watched.calls.filter(({ verb, refused }) => verb === 'renewSession' && refused === undefined);
    const keys = Array.from({ length: LOCKS }, () => uniqueKey('clock'));
    const locks = keys.map((key) => manager.lock(key));
    const lost = locks.map(losses);
    const grants = await Promise.all(locks.map((lock) => lock.lock()));
    await sessionOf(manager);
    const verifications: number[] = [];
    const doubts: number[] = [];
    for (const by of [HOUR, -HOUR, -HOUR, HOUR, HOUR, -HOUR]) {
      await until(() => renewals().every(({ ended }) => ended !== undefined));
      const known = renewals().length;
      lead += by;
      const set = performance.now();
      await until(() => grants.every((grant) => grant.held));
      doubts.push(performance.now() - set);
      // Long enough for a second verification, if there were one.
      await sleep(300);
      expect(grants.filter((grant) => grant.held)).toHaveLength(LOCKS);
      verifications.push(renewals().length - known);
      if (by < 0) expect(verifications.at(-1)).toBe(0);
    }
    expect(Math.max(...verifications)).toBe(1);
    expect(lost.flat()).toEqual([]);
    expect(grants.filter((grant) => grant.signal.aborted)).toEqual([]);
    expect(locks.map((lock) => lock.grant)).toEqual(grants);
    const figures = `verifications ${verifications.join(' ')}, in doubt for at most ${Math.max(...doubts).toFixed(1)} ms`;
    console.info(`FAULTS 12 ${store}: 0 losses of ${LOCKS}; ${figures}`);
  },
  240_000,
);

test.concurrent.each(stores)(
  'FAULTS 13: the machine sleeps for less than the TTL while locks are held on %s: not held until they are verified',
  async (store) => {
    const address = addressOf(store);
    const stem = uniqueKey('nap');
    const keys = Array.from({ length: LOCKS }, (_, number) => `${stem}/${number}`);
    await using holder = new Holder({ store, address, keys, ttl: TTL, suspended: true });
    await holder.ask({ ask: 'hold' });
    for (let round = 0; round < 3; round++) {
      holder.stop();
      // More than the margin, and with the renewal before it less than the TTL.
      await sleep(TTL / 10 + 500);
      const answer = holder.ask({ ask: 'doubt' });
      holder.wake();
      const { states, ...doubt } = await answer;
      expect(doubt).toEqual({ held: 0, answers: ['renewed'], lost: 0 });
      expect(states).toEqual(['suspended', 'live']);
    }
    expect(await holder.leave()).toEqual([0, null]);
    console.info(`FAULTS 13 ${store}: 0 of ${3 * LOCKS} held before they were verified, all held afterwards`);
  },
  240_000,
);

test.concurrent.each(stores)(
  'FAULTS 13: the machine sleeps until the server on %s has given its locks to others: never held again',
  async (store) => {
    const address = addressOf(store);
    const ttl = 2_000;
    const backend = () => connectTo(store, address);
    await using managers = new Managers({ name: store, ttl, lockDelay: 0, backend });
    const stem = uniqueKey('sleep');
    const keys = Array.from({ length: LOCKS }, (_, number) => `${stem}/${number}`);
    await using holder = new Holder({ store, address, keys, ttl, suspended: true });
    for (let round = 0; round < 2; round++) {
      await holder.ask({ ask: 'hold' });
      holder.stop();
      const sync = managers.make({ session: PATIENT });
      await Promise.all(keys.map((key) => sync.acquire(key)));
      const answer = holder.ask({ ask: 'doubt' });
      holder.wake();
      const { held, lost } = await answer;
      expect([held, lost]).toEqual([0, LOCKS]);
      await sync.stop();
    }
    expect(await holder.leave()).toEqual([0, null]);
    console.info(`FAULTS 13 ${store}: 0 of ${2 * LOCKS} held after a sleep through the expiry, all told`);
  },
  240_000,
);
