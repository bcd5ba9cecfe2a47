import { setTimeout as sleep } from 'node:timers/promises';
import { type Grant, isSyncError } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { holdInChild } from '../real/crash.ts';
import { losses, Managers, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { type PostgresServer, postgresUrl, startPostgres } from '../servers/postgres.ts';
import { SettableClock } from '../servers/settable-clock.ts';

const HOUR = 3_600_000;
const TTL = 6_000;
const session = { ttl: TTL, lockDelay: 0 };
const RENEWED_EVERY = TTL / 3;
/** Milliseconds from a renewal to what its answer brings about. */
const ANSWERED = 500;
const ROUNDS = 3;

/** A Postgres whose clock is set, and managers on it. */
class Place implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly managers: Managers;
  readonly #clock: SettableClock;
  #lead = 0;

  private constructor(clock: SettableClock, server: PostgresServer) {
    this.server = server;
    this.#clock = clock;
    const backend = () => postgres({ connectionString: postgresUrl(server.address) });
    this.managers = new Managers({ name: 'Postgres', ...session, backend });
  }

  static async open(): Promise<Place> {
    const clock = await SettableClock.create();
    return new Place(clock, await startPostgres({ schema: true, clock }));
  }

  /** Also of the connections of now, as each look at the clock shows. */
  async set(by: number): Promise<void> {
    this.#lead += by;
    this.#clock.set(this.#lead);
    const [row] = await this.server.sql('SELECT extract(epoch FROM clock_timestamp())::float8 AS now');
    expect(Math.abs(Number(row?.now) * 1_000 - Date.now() - this.#lead)).toBeLessThan(60_000);
  }

  /** Milliseconds that the sessions of this name have left, by the clock of Postgres; the shortest first. */
  async left(name: string): Promise<number[]> {
    const text = `SELECT 1000 * extract(epoch FROM expires - clock_timestamp())::float8 AS ms
      FROM holdfast.sessions WHERE name = $1 ORDER BY expires`;
    return (await this.server.sql(text, [name])).map(({ ms }) => Number(ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.managers[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** When it was lost: the monotonic instant. */
function lossOf({ signal }: Grant): Promise<number> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(performance.now()), { once: true });
  });
}

test.concurrent.each(['waits for it', 'comes after that'] as const)(
  'FAULTS GF5: the clock of Postgres is set forward by an hour: who %s is given the lock, and its holder is told within a period',
  async (when) => {
    await using place = await Place.open();
    const [ours, rival] = [place.managers.make(), place.managers.make()];
    await rival.connect();
    const late: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const key = uniqueKey('forward');
      const former = await ours.acquire(key);
      const lost = lossOf(former);
      const lock = rival.lock(key);
      const waiting = when === 'waits for it' ? lock.lock() : undefined;
      if (waiting !== undefined) await stateOf(lock, 'waiting');
      await place.set(HOUR);
      const grant = await (waiting ?? lock.lock());
      const granted = performance.now();
      const note = { put: `${key}/note`, value: 'of the former' };
      expect(await ours.commit({ when: [former.isOwner], then: [note] })).toEqual({
        ok: false,
        why: 'conflict',
      });
      late.push((await lost) - granted);
      expect(isSyncError(former.signal.reason, 'lost')).toBe(true);
      expect(grant.token).toBeGreaterThan(former.token);

      // Both go on.
      const again = ours.acquire(key);
      await lock.release();
      expect((await again).token).toBeGreaterThan(grant.token);
      await (await again).release();
    }
    expect(Math.max(...late)).toBeLessThan(RENEWED_EVERY + slowed(ANSWERED));
    const figures = late.map((ms) => ms.toFixed(0)).join(' ');
    console.info(`FAULTS GF5 forward, who ${when}: told ${figures} ms after the next one had the lock`);
  },
  240_000,
);

test.concurrent('FAULTS GF5: the clock of Postgres is set back by an hour: nothing is lost, and who dies before his next renewal is missed for the hour', async () => {
  await using place = await Place.open();
  const { managers, server } = place;
  const [ours, rival] = [managers.make({ name: 'ours' }), managers.make({ name: 'rival' })];
  const kept = ours.lock(uniqueKey('kept'));
  const lost = losses(kept);
  const grant = await kept.lock();
  const [dead, later] = [uniqueKey('dead'), uniqueKey('later')];
  using dies = await holdInChild('Postgres', server.address, dead, session);
  using diesLater = await holdInChild('Postgres', server.address, later, session);
  const [next, nextLater] = [rival.lock(dead), rival.lock(later)];
  const turns = [next.lock(), nextLater.lock()] as const;
  await Promise.all([stateOf(next, 'waiting'), stateOf(nextLater, 'waiting')]);
  dies.crash();
  await place.set(-HOUR);

  // With his next renewal each who lives has his TTL, by the clock as it is now.
  await until(async () => {
    const left = [await place.left('ours'), await place.left('rival'), await place.left('crashes')];
    return left.every(([shortest = HOUR]) => shortest <= TTL);
  });
  const crashed = diesLater.crash();
  expect((await turns[1]).token).toBeGreaterThan(diesLater.token);
  expect(performance.now() - crashed).toBeLessThan(slowed(TTL + ANSWERED));
  const handed = uniqueKey('handed');
  for (let round = 0; round < ROUNDS; round++) {
    const mine = await ours.acquire(handed);
    const theirs = rival.acquire(handed);
    await mine.release();
    await (await theirs).release();
  }

  // Who died first is long past his time, by any clock but that one.
  await sleep(TTL);
  const [left = 0] = await place.left('crashes');
  expect(left).toBeGreaterThan(HOUR / 2);
  expect(next.held).toBe(false);
  await server.sql("DELETE FROM holdfast.sessions WHERE name = 'crashes'");
  expect((await turns[0]).token).toBeGreaterThan(dies.token);
  expect([grant.held, lost]).toEqual([true, []]);
  console.info(`FAULTS GF5 back: the record of the dead would have stood for ${(left / 1_000).toFixed(0)} s`);
}, 240_000);
