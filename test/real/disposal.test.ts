import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, uniqueKey, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { ServerProcess } from '../servers/process.ts';
import { ClientSockets } from './client-sockets.ts';
import { suspend } from './stopped.ts';
import { connectTo, type Store, stores } from './stores.ts';

const start = {
  etcd: () => startEtcd(),
  Consul: () => startConsul({ sessionTtlMin: '1s' }),
  Postgres: () => startPostgres({ schema: true }),
} satisfies Record<Store, () => Promise<ServerProcess>>;

/** What a request may take: nobody waits for one at the end. */
const REQUEST_TIMEOUT = 60_000;

const ways: readonly [string, (server: ServerProcess) => Promise<void>][] = [
  ['is stopped', suspend],
  ['is gone', (server) => server.kill()],
];

test.concurrent.each(stores.flatMap((store) => ways.map(([way, end]) => [store, way, end] as const)))(
  'I4: a client whose %s %s is disposed of at once, and no connection is left',
  async (store, _, end) => {
    await using server = await start[store]();
    using sockets = new ClientSockets(server.address);
    const backend = connectTo(store, server.address, { requestTimeout: REQUEST_TIMEOUT });
    const { id } = await backend.openSession({ name: 'svc', ttl: 60_000, lockDelay: 0 }, live);
    const key = uniqueKey('disposed');
    const mine = `${backend.lockPath(key)}${id}`;
    await backend.commit({ when: [], then: [{ put: mine, value: new Uint8Array(), session: id }] }, live);
    // What waits for plain data has told the server so, where that is needed.
    const { at } = await backend.query({ key }, { signal: live });
    const waiting = backend.query({ key }, { since: at, signal: live }).catch(() => undefined);
    await backend.commit({ when: [], then: [{ put: `${key}/other`, value: new Uint8Array() }] }, live);

    await end(server);
    const asked = backend.query({ key }, { signal: live }).catch(({ code }) => code);
    const begun = performance.now();
    await backend[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(slowed(1_000));
    await waiting;
    expect(['stopped', 'unavailable']).toContain(await asked);
    // HTTP/2 leaves an empty shell of its socket: test/etcd/disposal.test.ts counts what is really there.
    if (store !== 'etcd') await until(() => sockets.open === 0);
  },
);
