import { TcpProxy } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busy, slowed } from '../busy.ts';
import {
  live,
  losses,
  lossesByGrant,
  Managers,
  next,
  sessionOf,
  uniqueKey,
  until,
} from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import type { RunResult } from '../servers/run.ts';
import { median } from './median.ts';
import { recorded } from './recorded.ts';
import { connectTo, type Store, stores } from './stores.ts';

/** Of those who are to be told by their deadline. */
const TTL = 2_000;
/** Of those who are to be told by what they see: no session ends of itself, however busy the machine is. */
const LONG_TTL = 60_000;
const DEADLINE = TTL - TTL / 10;
const ROUNDS = 12;

/** What operators do, with the tools that they have. */
interface Operator {
  readonly address: string;
  destroySession(id: string): Promise<unknown>;
  deleteKey(record: string): Promise<unknown>;
  overwrite(record: string): Promise<unknown>;
}

let consul: ConsulServer;
let etcd: EtcdServer;
let postgres: PostgresServer;
let operators: Record<Store, Operator>;

beforeAll(async () => {
  [consul, etcd, postgres] = await Promise.all([
    startConsul({ sessionTtlMin: '1s' }),
    startEtcd(),
    startPostgres({ schema: true }),
  ]);
  operators = {
    etcd: {
      address: etcd.address,
      destroySession: (id) => done(etcd.etcdctl(['lease', 'revoke', id])),
      deleteKey: (record) => done(etcd.etcdctl(['del', record])),
      overwrite: (record) => done(etcd.etcdctl(['put', record, 'mine now'])),
    },
    Consul: {
      address: consul.address,
      // Its command line has no word for sessions.
      destroySession: (id) => consul.http('PUT', `/v1/session/destroy/${id}`),
      deleteKey: (record) => done(consul.cli(['kv', 'delete', record])),
      overwrite: (record) => done(consul.cli(['kv', 'put', record, 'mine now'])),
    },
    Postgres: {
      address: postgres.address,
      destroySession: (id) => postgres.sql('DELETE FROM holdfast.sessions WHERE id = $1', [id]),
      deleteKey: (record) => postgres.sql('DELETE FROM holdfast.records WHERE key = $1', [record]),
      overwrite: (record) =>
        postgres.sql(
          "UPDATE holdfast.records SET value = 'mine now', session = NULL, revision = nextval('holdfast.revisions') WHERE key = $1",
          [record],
        ),
    },
  };
});
afterAll(() => Promise.all([consul, etcd, postgres].map((server) => server?.[Symbol.asyncDispose]())));

async function done(command: Promise<RunResult>): Promise<void> {
  const { code, stderr } = await command;
  if (code !== 0) throw new Error(`the operator's command failed: ${stderr}`);
}

function managersFor(store: Store, ttl = TTL): Managers {
  const backend = () => connectTo(store, operators[store].address);
  return new Managers({ name: store, ttl, lockDelay: 0, backend });
}

/**
 * An operator interferes again and again with a standing claim, which is told each time and comes back with a larger
 * token. Gives the milliseconds from the start of the operator's command to the notice (`told`), those from its end
 * (`late`, mostly below 0), and the reasons.
 */
async function interfere(
  store: Store,
  act: (operator: Operator, session: string, record: string) => Promise<unknown>,
): Promise<{ told: number[]; late: number[]; reasons: string[] }> {
  await using managers = managersFor(store, LONG_TTL);
  const manager = managers.make();
  const lock = manager.lock(uniqueKey('operator'));
  const late: number[] = [];
  const lost = losses(lock);
  const told: number[] = [];
  let grant = await lock.lock();
  for (let round = 0; round < ROUNDS; round++) {
    const before = grant;
    const notice = next(lock.lost$, () => true).then(() => performance.now());
    const session = await sessionOf(manager);
    const begun = performance.now();
    const done = act(operators[store], session, before.isOwner.key).then(() => performance.now());
    const [at, doneAt] = await Promise.all([notice, done]);
    told.push(at - begun);
    late.push(at - doneAt);
    expect([before.held, before.signal.aborted, before.signal.reason]).toMatchObject([
      false,
      true,
      { code: 'lost' },
    ]);
    grant = await lock.lock();
    expect(grant.token).toBeGreaterThan(before.token);
  }
  expect(lost.map(({ token }) => token)).toHaveLength(ROUNDS);
  expect(grant.held).toBe(true);
  return { told, late, reasons: [...new Set(lost.map(({ reason }) => reason))] };
}

/** The holder is cut off, and cannot learn what the operator does. */
async function interfereUnseen(
  store: Store,
  act: (operator: Operator, session: string, record: string) => Promise<unknown>,
): Promise<number> {
  await using managers = managersFor(store);
  await using proxy = await TcpProxy.open(operators[store].address);
  const manager = managers.make({ backend: connectTo(store, proxy.address) });
  const lock = manager.lock(uniqueKey('unseen'));
  const lossOf = lossesByGrant(lock);
  const grant = await lock.lock();
  const session = await sessionOf(manager);
  proxy.set({ cut: 'both' });
  const begun = performance.now();
  await act(operators[store], session, grant.isOwner.key);
  const { at, reason } = await lossOf(grant);
  expect([reason, grant.held]).toEqual(['deadline', false]);
  proxy.heal();
  expect((await lock.lock()).token).toBeGreaterThan(grant.token);
  return at - begun;
}

function print(row: number, store: Store, told: readonly number[], reasons: readonly string[]): void {
  const figures = `${Math.round(median(told))} ms, at most ${Math.round(Math.max(...told))} ms`;
  console.info(
    `FAULTS ${row} ${store}: told within ${figures} (${told.length} times: ${reasons.join(', ')})`,
  );
}

const ways: readonly [row: number, what: string, reason: RegExp, act: Parameters<typeof interfere>[1]][] = [
  // Whichever of its two signs is seen first.
  [
    14,
    'destroys the session',
    /^(session|record)-gone$/,
    (operator, session) => operator.destroySession(session),
  ],
  [15, 'deletes the key', /^record-gone$/, (operator, _, record) => operator.deleteKey(record)],
  [16, 'overwrites the key', /^record-overwritten$/, (operator, _, record) => operator.overwrite(record)],
];

describe.concurrent.each(ways)('FAULTS %i', (row, what, reason, act) => {
  test.each(stores)(
    `FAULTS ${row}: an operator of %s ${what}: told within 500 ms with its own reason, and held again with a larger token`,
    async (store) => {
      const { told, late, reasons } = await interfere(store, act);
      print(row, store, told, reasons);
      for (const given of reasons) expect(given).toMatch(reason);
      // From the end of the operator's program, whose start takes its time on a busy machine.
      expect(Math.max(...late)).toBeLessThan(slowed(500));
    },
  );

  test.each(stores)(
    `FAULTS ${row}: an operator of %s ${what} of a holder that is cut off: told by its deadline`,
    async (store) => {
      const told = await interfereUnseen(store, act);
      console.info(`FAULTS ${row} ${store}: cut off, told after ${Math.round(told)} ms`);
      expect(told).toBeLessThan(DEADLINE + busy());
    },
  );
});

test.concurrent.each(stores)(
  'FAULTS 15: a grant whose key an operator of %s deleted is released without a word to the server, and harms nobody',
  async (store) => {
    await using managers = managersFor(store, LONG_TTL);
    const watched = recorded(connectTo(store, operators[store].address));
    const sync = managers.make({ backend: watched.backend });
    for (let round = 0; round < 5; round++) {
      const key = uniqueKey('deleted');
      const grant = await sync.acquire(key);
      const aborted = new Promise((resolve) => grant.signal.addEventListener('abort', resolve));
      await operators[store].deleteKey(grant.isOwner.key);
      await aborted;
      const successor = await managers.make().acquire(key);
      const writes = () => watched.calls.filter(({ verb }) => verb === 'commit').length;
      const before = writes();
      await grant.release();
      await grant.release();
      expect(writes()).toBe(before);
      expect([grant.held, successor.held]).toEqual([false, true]);
      expect(await sync.tryAcquire(key)).toBeUndefined();
    }
  },
);

test.concurrent.each(stores)(
  'FAULTS 16, A3: a key of %s that was overwritten while others wait for it is no silent deadlock, whoever is left',
  async (store) => {
    await using managers = managersFor(store);
    const key = uniqueKey('overwritten');
    // A holder that never looks again: nobody else is left to remove what was its own.
    await using proxy = await TcpProxy.open(operators[store].address);
    const dying = managers.make({ backend: connectTo(store, proxy.address) });
    const grant = await dying.acquire(key);
    const waiters = [managers.make(), managers.make()].map((manager) => manager.lock(key));
    for (const waiter of waiters) expect(await waiter.tryLock()).toBeUndefined();
    proxy.set({ cut: 'both' });
    await operators[store].overwrite(grant.isOwner.key);
    if (store !== 'Consul') {
      // In a queue it is nobody's record any more, and stands until its operator removes it: all who wait are told.
      const told = waiters.map((waiter) =>
        until(async () => {
          const outcome = await waiter.lock({ timeout: 200 }).catch(({ code }) => code);
          expect(['timeout', 'foreign-record']).toContain(outcome);
          return outcome === 'foreign-record';
        }),
      );
      await Promise.all(told);
      await operators[store].deleteKey(grant.isOwner.key);
    }
    const begun = performance.now();
    await until(() => waiters.some((waiter) => waiter.held));
    const free = performance.now() - begun;
    const [first, second] = waiters.toSorted((a, b) => Number(b.held) - Number(a.held));
    await first?.release();
    await until(() => second?.held === true);
    const operator = managers.operator();
    const { records } = await operator.query({ prefix: operator.lockPath(key) }, { signal: live });
    expect(records).toHaveLength(1);
    console.info(
      `FAULTS 16 ${store}: the next one held ${Math.round(free)} ms after a dead holder's key was overwritten or removed`,
    );
  },
);
