import { LockHistory } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { Managers, uniqueKey, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { startPostgres } from '../servers/postgres.ts';
import { contend } from './contend.ts';
import { connectTo, type Store, stores } from './stores.ts';

const MANAGERS = 4;
const RESTARTS = 2;
/** How many turns there must be before each restart, and after the last. */
const TURNS = 40;

const start = {
  etcd: () => startEtcd(),
  Consul: () => startConsul({ persistent: true, sessionTtlMin: '1s' }),
  Postgres: () => startPostgres({ schema: true }),
} satisfies Record<Store, unknown>;

test.concurrent.each(stores)(
  'FAULTS 1: four managers contend on %s while it is killed and comes back: what they see is a lock with fencing tokens',
  async (store) => {
    await using server = await start[store]();
    const backend = () => connectTo(store, server.address);
    await using managers = new Managers({ name: store, ttl: 2_000, lockDelay: 0, backend });
    const key = uniqueKey('contention');
    const history = new LockHistory();
    const stopping = new AbortController();
    let turns = 0;
    const work = Array.from({ length: MANAGERS }, (_, number) =>
      contend(managers.make(), key, `m${number}`, history, stopping.signal, () => turns++),
    );
    for (let restart = 0; restart < RESTARTS; restart++) {
      const enough = turns + TURNS;
      await until(() => turns >= enough);
      await server.kill();
      await server.restart();
    }
    const enough = turns + TURNS;
    await until(() => turns >= enough);
    stopping.abort(new Error('enough'));
    await Promise.all(work);
    const verdict = history.check();
    expect(verdict, verdict.ok ? '' : verdict.message).toMatchObject({ ok: true });
    if (verdict.ok) {
      console.info(
        `${store}: ${turns} turns of ${MANAGERS} managers, ${RESTARTS} restarts: ${verdict.operations} operations in order`,
      );
    }
  },
  // As long as a crowded machine takes for six times so many turns.
  300_000,
);
