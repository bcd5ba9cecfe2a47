import { setTimeout as sleep } from 'node:timers/promises';
import type { Grant, SyncManager } from 'holdfast';
import { LockHistory } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { givenBack, Managers, uniqueKey, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { connectTo, type Store, stores } from './stores.ts';

const MANAGERS = 4;
const RESTARTS = 2;
/** How many turns there must be before each restart, and after the last. */
const TURNS = 40;
/** Milliseconds, at most. */
const HOLD = 20;

const start = {
  etcd: () => startEtcd(),
  Consul: () => startConsul({ persistent: true, sessionTtlMin: '1s' }),
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
    const work = Array.from({ length: MANAGERS }, async (_, number) => {
      const client = `m${number}`;
      const sync = managers.make();
      for (let round = 0; !stopping.signal.aborted; round++) {
        const grant = await acquire(sync, key, client, history, stopping.signal);
        if (grant === undefined) continue;
        await increment(sync, grant, client, `${client}.${round}`, history);
        const releasing = history.releasing(client, grant.token);
        if (await givenBack(sync, grant)) releasing.done();
        turns++;
      }
    });
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
);

async function acquire(
  sync: SyncManager,
  key: string,
  client: string,
  history: LockHistory,
  signal: AbortSignal,
): Promise<Grant | undefined> {
  const acquiring = history.acquiring(client);
  try {
    const grant = await sync.acquire(key, { signal });
    acquiring.granted(grant.token);
    return grant;
  } catch {
    acquiring.unknown();
    return undefined;
  }
}

/** Reads, holds for a while, writes: as far as the server answers. */
async function increment(
  sync: SyncManager,
  grant: Grant,
  client: string,
  value: string,
  history: LockHistory,
): Promise<void> {
  const data = `${grant.key}/data`;
  const look = (): void => {
    if (grant.held) history.looked(client, grant.token);
  };
  const reading = history.reading(client);
  const before = await sync.commit({ when: [grant.isOwner], read: { key: data } }).catch(() => undefined);
  if (before?.ok) {
    const [record] = before.read ?? [];
    reading.got(record && new TextDecoder().decode(record.value));
  }
  look();
  await sleep(Math.random() * HOLD);
  look();
  const writing = history.writing(client, grant.token, value);
  try {
    const { ok } = await sync.commit({ when: [grant.isOwner], then: [{ put: data, value }] });
    if (ok) writing.accepted();
    else writing.refused();
  } catch {
    writing.unknown();
  }
  look();
}
