import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { installSql, postgres } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { losses, Managers, next, uniqueKey } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { type PostgresServer, postgresUrl, startPostgres } from '../servers/postgres.ts';

interface Server extends AsyncDisposable {
  readonly address: string;
  readonly folder: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

interface Store {
  start(): Promise<Server>;
  connect(address: string): Backend;
  /** Starts it again with nothing in it. */
  startEmpty(server: Server): Promise<void>;
}

async function startEmpty(server: Server): Promise<void> {
  await rm(join(server.folder, 'data'), { recursive: true, force: true });
  await server.restart();
}

const stores: Record<string, Store> = {
  etcd: { start: () => startEtcd(), connect: (address) => etcd({ hosts: address }), startEmpty },
  Consul: {
    start: () => startConsul({ persistent: true }),
    connect: (address) => consul({ addresses: [address] }),
    startEmpty,
  },
  Postgres: {
    start: () => startPostgres({ schema: true }),
    connect: (address) => postgres({ connectionString: postgresUrl(address) }),
    async startEmpty(server) {
      const { dataDir } = server as PostgresServer;
      await rm(dataDir, { recursive: true, force: true });
      await (server as PostgresServer).initialise();
      await server.restart();
      await (server as PostgresServer).sql(installSql());
    },
  },
};

test.concurrent.each(Object.entries(stores))(
  'FAULTS 1: %s is killed and comes back with its data: the hold is kept, and the service usable within 2 s',
  async (name, { start, connect }) => {
    await using server = await start();
    await using managers = new Managers({
      name,
      // Longer than a busy machine takes to start a server.
      ttl: 60_000,
      lockDelay: 0,
      backend: () => connect(server.address),
    });
    const manager = managers.make();
    const lock = manager.lock(uniqueKey('kept'));
    const states: string[] = [];
    manager.session$.subscribe(({ name: state }) => states.push(state));
    const lost = losses(lock);
    const grant = await lock.lock();
    await server.kill();
    await server.restart();
    const ready = performance.now();
    const other = await manager.acquire(uniqueKey('after'), { timeout: 30_000 });
    expect(performance.now() - ready).toBeLessThan(slowed(2_000));
    expect([grant.held, lock.grant === grant, lost.length]).toEqual([true, true, 0]);
    expect(other.token).toBeGreaterThan(grant.token);
    expect(states.filter((state) => state === 'suspended').length).toBeLessThanOrEqual(1);
    expect(states).not.toContain('ended');
  },
);

test.concurrent.each(Object.entries(stores))(
  'FAULTS 2: %s comes back empty: the holder is told, and no smaller token is given: `store-reset`',
  async (name, { start, connect, startEmpty }) => {
    await using server = await start();
    // Longer than a busy machine takes to start a server: it is not told by its deadline.
    const ttl = 60_000;
    await using managers = new Managers({ name, ttl, lockDelay: 0, backend: () => connect(server.address) });
    const manager = managers.make();
    const key = uniqueKey('wiped');
    // Puts the revisions of this process well above those that an empty store begins with.
    for (let round = 0; round < 50; round++) await (await manager.acquire(uniqueKey('rise'))).release();
    const lock = manager.lock(key);
    const grant = await lock.lock();
    const told = next(lock.lost$, () => true);
    const begun = performance.now();
    await server.kill();
    await startEmpty(server);
    expect(await told).toMatchObject({ token: grant.token });
    expect(performance.now() - begun).toBeLessThan(Math.min(ttl, slowed(10_000)));
    expect(grant.held).toBe(false);
    const reset = expect.objectContaining({
      code: 'store-reset',
      message: expect.stringContaining('went back'),
    });
    await expect(lock.lock({ timeout: 30_000 })).rejects.toThrow(reset);
    await expect(manager.acquire(uniqueKey('other'), { timeout: 30_000 })).rejects.toThrow(reset);
    // A process that starts anew may trust the store, and finds nothing in its way.
    expect((await managers.make().acquire(key, { timeout: 30_000 })).held).toBe(true);
  },
);
