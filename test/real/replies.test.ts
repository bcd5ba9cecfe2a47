import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, CommitResult } from 'holdfast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { losses, next, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { withVerbs } from '../with-verbs.ts';
import { addressOf, Site, TTL } from './site.ts';
import { type Store, stores } from './stores.ts';

// Of releases the simulation does many thousands on the same engine; here it is some hundred, on real servers.
const KEYS = 10;
const ROUNDS = 20;

// A server of its own: Consul keeps connections that were reset while they blocked, and has a limit for them.
let consulServer: ConsulServer;

beforeAll(async () => {
  consulServer = await startConsul({ sessionTtlMin: '1s', limits: { httpMaxConnsPerClient: 5_000 } });
});
afterAll(() => consulServer?.[Symbol.asyncDispose]());

/** Long enough that no session ends in these tests, however busy the machine is, or how long it stands still. */
const LONG_TTL = 60_000;

/** Milliseconds. Longer than what is late, and short enough to wait for. */
const MIDDLE_TTL = 12_000;

function openSite(store: Store, ttl = LONG_TTL): Promise<Site> {
  return Site.open(store, { address: store === 'Consul' ? consulServer.address : addressOf(store), ttl });
}

const numbers = Array.from({ length: KEYS }, (_, number) => number);

/** Who believes to hold which key, and how often two did. */
class Believers {
  readonly #now = new Map<string, number>();
  doubles = 0;

  enter(key: string): void {
    const now = (this.#now.get(key) ?? 0) + 1;
    this.#now.set(key, now);
    if (now > 1) this.doubles++;
  }

  leave(key: string): void {
    this.#now.set(key, (this.#now.get(key) ?? 0) - 1);
  }
}

// One after the other, and not beside the rest: ten callers and their rivals keep the event loop busy by themselves.
test.each(stores)(
  'FAULTS 23: an acquire on %s was applied and its reply lost: one holder, and nobody waits for a ghost',
  async (store) => {
    await using site = await openSite(store);
    const { proxy, managers } = site;
    const stem = uniqueKey('acquired');
    const rival = managers.make();
    const rounds = 10;
    const believers = new Believers();
    const waits: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const sync = site.remote();
      await (await sync.acquire(`${stem}/warm`)).release();
      const session = await sessionOf(sync);
      const keys = numbers.map((number) => `${stem}/${round}/${number}`);
      proxy.set({ cut: 'replies' });
      const giveUp = new AbortController();
      // Every other caller gives up; the rest wait for their reply.
      const asked = keys.map((key, number) =>
        sync.acquire(key, number % 2 === 0 ? { signal: giveUp.signal } : {}).then(
          (grant) => {
            believers.enter(key);
            return grant;
          },
          () => undefined,
        ),
      );
      await until(async () => (await site.records(`${stem}/${round}/`)).length === KEYS);
      const applied = await site.records(`${stem}/${round}/`);
      expect(applied.filter((record) => record.session === session)).toHaveLength(KEYS);
      giveUp.abort();
      const others = keys.map((key) =>
        rival.acquire(key).then((grant) => {
          believers.enter(key);
          return grant;
        }),
      );
      // The replies that were held go with their connections.
      proxy.reset();
      proxy.heal();
      const healedAt = performance.now();
      const grants = await Promise.all(asked);
      for (const [number, grant] of grants.entries()) {
        if (number % 2 === 0) expect(grant).toBeUndefined();
        else expect(grant?.held).toBe(true);
      }
      for (const [number, other] of others.entries()) {
        if (number % 2 === 0) {
          // Nobody holds it, and it does not last until the session ends.
          expect((await other).held).toBe(true);
          waits.push(performance.now() - healedAt);
        }
      }
      for (const [number, grant] of grants.entries()) {
        if (grant === undefined) continue;
        believers.leave(keys[number] as string);
        await grant.release();
      }
      for (const [number, other] of others.entries()) {
        const grant = await other;
        believers.leave(keys[number] as string);
        await grant.release();
      }
      // It was not the end of the session that took anything away.
      expect(await sessionOf(sync)).toBe(session);
      await sync.stop();
    }
    expect(believers.doubles).toBe(0);
    expect(Math.max(...waits)).toBeLessThan(slowed(MIDDLE_TTL / 3));
    await until(async () => (await site.records(`${stem}/`)).length === 0);
    console.info(
      `FAULTS 23 ${store}: ${rounds * KEYS} acquires applied without a reply, 0 double holders; ` +
        `what was given up was free after at most ${Math.round(Math.max(...waits))} ms`,
    );
  },
);

test.concurrent.each(stores)(
  `FAULTS 24: ${ROUNDS * KEYS} releases on %s were applied and their replies lost: none of them removed another's record`,
  async (store) => {
    await using site = await openSite(store);
    const { proxy, managers } = site;
    const stem = uniqueKey('released');
    const sync = site.remote();
    const rival = managers.make();
    const keys = numbers.map((number) => `${stem}/${number}`);
    const locks = keys.map((key) => rival.lock(key));
    const lost = locks.map(losses);
    for (let round = 0; round < ROUNDS; round++) {
      const grants = await Promise.all(keys.map((key) => sync.acquire(key)));
      const theirs = locks.map((lock) => lock.lock());
      await Promise.all(locks.map((lock) => next(lock.state$, ({ name }) => name === 'waiting')));
      proxy.set({ cut: 'replies' });
      const released = Promise.all(grants.map((grant) => grant.release()));
      // Applied: the next one holds, while the releasing one has heard nothing.
      const held = await Promise.all(theirs);
      proxy.reset();
      proxy.heal();
      await released;
      expect(held.filter((grant) => grant.held)).toHaveLength(KEYS);
      const session = await sessionOf(rival);
      const records = await site.records(`${stem}/`);
      expect(records.filter((record) => record.session === session)).toHaveLength(KEYS);
      await Promise.all(locks.map((lock) => lock.release()));
    }
    expect(lost.flat()).toEqual([]);
    expect(await site.records(`${stem}/`)).toHaveLength(0);
    console.info(`FAULTS 24 ${store}: 0 of ${ROUNDS * KEYS} repeated releases took the lock of another`);
  },
);

const DELAY = 5_000;

/** The same backend, whose commits reach the server late, whether or not their caller still waits. */
function lateCommits(
  backend: Backend,
  late: () => boolean,
  delivered: (result: CommitResult) => void,
): Backend {
  return withVerbs(backend, {
    commit: (commit, signal) => {
      if (!late()) return backend.commit(commit, signal);
      const sent = sleep(DELAY).then(() => backend.commit(commit, new AbortController().signal));
      sent.then(delivered, () => undefined);
      return new Promise((resolve, reject) => {
        sent.then(resolve, reject);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
  });
}

const lateRows = stores.flatMap((store) => [
  // The session ends meanwhile, and what arrives is refused.
  [store, TTL, 'network'] as const,
  [store, MIDDLE_TTL, 'network'] as const,
  [store, MIDDLE_TTL, 'client'] as const,
  [store, TTL, 'client'] as const,
]);

test.concurrent.each(lateRows)(
  'FAULTS 25: acquires that reach %s (TTL %d ms) 5 s after their callers gave up, held up in the %s, are removed, and never held unobserved',
  async (store, ttl, where) => {
    await using site = await openSite(store, ttl);
    const { proxy } = site;
    const stem = uniqueKey('late');
    let late = false;
    let applied = 0;
    const backend = lateCommits(
      site.connect(),
      () => late && where === 'client',
      (result) => {
        if (result.ok) applied++;
      },
    );
    const sync = site.remote({ backend });
    await (await sync.acquire(`${stem}/warm`)).release();
    const session = await sessionOf(sync);

    late = true;
    const askedAt = performance.now();
    if (where === 'network') proxy.set({ cut: 'requests' });
    const timeout = expect.objectContaining({ code: 'timeout' });
    await Promise.all(
      numbers.map((number) =>
        expect(sync.acquire(`${stem}/${number}`, { timeout: 100 })).rejects.toThrow(timeout),
      ),
    );
    const gaveUpAt = performance.now();
    late = false;
    await sleep(askedAt + DELAY - 500 - performance.now());
    const early = await site.records(`${stem}/`);
    // The client lets them through so long after they were asked for, also where the machine stood still meanwhile.
    if (where === 'network' || performance.now() < askedAt + DELAY - 200) expect(early).toHaveLength(0);
    await sleep(gaveUpAt + DELAY - performance.now());
    proxy.heal();
    const deliveredAt = performance.now();
    let lastSeenAt = deliveredAt;
    let most = 0;
    let left = 0;
    const goesOn = () => {
      const bound = Math.min(ttl, 3_000);
      return performance.now() - deliveredAt < (left === 0 ? bound : slowed(bound));
    };
    while (goesOn()) {
      left = (await site.records(`${stem}/`)).length;
      most = Math.max(most, left);
      if (left > 0) lastSeenAt = performance.now();
      await sleep(10);
    }
    expect(await site.records(`${stem}/`)).toHaveLength(0);
    expect(lastSeenAt - deliveredAt).toBeLessThan(slowed(ttl));
    // It was not the end of the session that took them away.
    if (ttl > DELAY) expect(await sessionOf(sync)).toBe(session);
    // Otherwise the store refuses what comes for a session that has ended meanwhile.
    if (where === 'client' && (await sessionOf(sync)) === session) expect(applied).toBe(KEYS);
    // Whoever asks next gets it at once: it was held by nobody.
    const grants = await Promise.all(numbers.map((number) => sync.acquire(`${stem}/${number}`)));
    expect(grants.every((grant) => grant.held)).toBe(true);
    console.info(
      `FAULTS 25 ${store}, TTL ${ttl} ms, ${where}: up to ${most} records, gone after ${Math.round(lastSeenAt - deliveredAt)} ms`,
    );
  },
);
