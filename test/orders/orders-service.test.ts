import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Replica } from '../../examples/orders-service/replicas.ts';
import { slowed } from '../busy.ts';
import { addressOf } from '../real/site.ts';
import { live, until } from '../scenarios/world.ts';
import { spawnChild } from '../servers/child.ts';
import { reservePorts } from '../servers/ports.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import { Customers } from './customers.ts';
import { Shop } from './shop.ts';

const main = fileURLToPath(new URL('../../examples/orders-service/main.ts', import.meta.url));

/**
 * Milliseconds until there is another leader. Consul may take twice the TTL to notice, and holds the key back as long again.
 * The TTLs are such that a busy machine, on which six more processes begin meanwhile, makes no leader lose its session.
 */
const sites = [
  { store: 'etcd', ttl: 5_000, afterCrash: 5_500, afterRevocation: 1_000 },
  { store: 'Consul', ttl: 10_000, afterCrash: 31_000, afterRevocation: 11_000 },
  { store: 'Postgres', ttl: 5_000, afterCrash: 5_500, afterRevocation: 1_000 },
] as const;

test.concurrent.each(sites)(
  'three replicas on $store go on serving whatever becomes of the leader, and never settle two at a time',
  { timeout: 180_000 },
  async ({ store, ttl, afterCrash, afterRevocation }) => {
    await using shop = new Shop(store, addressOf(store), ttl);
    await Promise.all([shop.add(), shop.add(), shop.add()]);
    const first = await shop.leaderAfter(0, 20_000);
    for (const replica of shop.replicas) {
      await until(async () => {
        const { body } = await shop.get(replica, '/leader');
        return (body as { leader: { replica?: string } | null }).leader?.replica === first.replica.name;
      });
      const { body } = await shop.get(replica, '/leader');
      expect(body).toMatchObject({ here: replica === first.replica });
      expect(await shop.get(replica, '/health')).toMatchObject({ status: 200, body: { ready: true } });
    }
    const customers = new Customers(8, () => shop.urls);
    const served = async (): Promise<void> => {
      const before = customers.served;
      await until(() => customers.served > before + 10);
    };
    const settled = (replica: string) => until(() => shop.runs.some((run) => run.replica === replica));
    await served();
    await settled(first.replica.name);

    const killedAt = shop.end(first.replica, 'SIGKILL');
    await served();
    const second = await shop.leaderAfter(killedAt, 60_000);
    expect(customers.servedBetween(killedAt, second.at)).toBeGreaterThan(0);
    expect(second.at - killedAt).toBeLessThan(slowed(afterCrash));
    await shop.add();
    await settled(second.replica.name);

    const endedAt = shop.end(second.replica, 'SIGTERM');
    const third = await shop.leaderAfter(endedAt, 20_000);
    expect(third.at - endedAt).toBeLessThan(slowed(200));
    expect(await second.replica.exited).toEqual([null, 'SIGTERM']);
    await shop.add();
    await served();
    await settled(third.replica.name);

    const revokedAt = await shop.revokeLeader();
    const fourth = await shop.leaderAfter(revokedAt, 60_000);
    expect(fourth.at - revokedAt).toBeLessThan(slowed(afterRevocation));
    await served();
    await settled(fourth.replica.name);
    // Who lost its session goes on serving with another.
    await until(async () => (await shop.get(third.replica, '/health')).status === 200);

    await customers[Symbol.asyncDispose]();
    expect(customers.failures).toEqual([]);
    for (const [order, payments] of customers.acknowledged) {
      const replica = shop.replicas.find(({ running }) => running) as (typeof shop.replicas)[0];
      const { body } = await shop.get(replica, `/orders/${order}`);
      // Each once, and none is missing.
      expect(body).toEqual(Object.fromEntries(payments));
    }

    const lost = shop.lines
      .filter(({ msg }) => msg.includes('lost the lock'))
      .map(({ replica, msg }) => `${replica} ${msg}`);
    expect(new Set(lost).size).toBe(lost.length);
    const leadership = lost.filter((line) => line.includes('/leadership"'));
    expect(leadership).toEqual([expect.stringContaining(third.replica.name)]);

    const runs = shop.runs.toSorted((a, b) => a.begins - b.begins);
    const leaders = new Set(runs.map(({ replica }) => replica));
    expect(leaders.size).toBeGreaterThanOrEqual(fourth.replica === third.replica ? 3 : 4);
    runs.reduce((before, next) => {
      expect(next.begins, `${before.replica} and ${next.replica} at a time`).toBeGreaterThanOrEqual(
        before.ends,
      );
      return next;
    });

    const rest = shop.replicas.filter(({ running }) => running);
    for (const replica of rest) shop.end(replica, 'SIGTERM');
    expect(await Promise.all(rest.map(({ exited }) => exited))).toEqual(rest.map(() => [null, 'SIGTERM']));
    const { records } = await shop.operator.query({ prefix: `service/${shop.name}/` }, { signal: live });
    expect(records).toEqual([]);
    expect(shop.lines.filter(({ level }) => level >= 50)).toEqual([]);
    console.info(
      `orders on ${store}: next leader ${second.at - killedAt} ms after SIGKILL, ${third.at - endedAt} ms after SIGTERM, ` +
        `${fourth.at - revokedAt} ms after its session was revoked; ${customers.served} payments, ${runs.length} settlements, ${lost.length} locks lost`,
    );
  },
);

test.concurrent('one command starts it, and Ctrl-C ends it in good order', async () => {
  const args = [program(main), '--name', 'orders-by-hand', '--interval', '50'];
  const child = spawnChild(process.execPath, args, { stdio: ['ignore', 'pipe', 2] });
  const exited = once(child, 'exit');
  const printed: string[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => printed.push(line));
  await until(() => printed.some((line) => line.includes(' settled ')), 60_000);
  await until(() => printed.some((line) => line.includes('/payments')), 60_000);
  const urls = printed.flatMap((line) => line.match(/curl (\S+)\/leader$/)?.[1] ?? []);
  expect(urls).toHaveLength(3);
  const heads = await Promise.all(
    urls.map(async (url) => (await (await fetch(`${url}/leader`)).json()) as { here: boolean }),
  );
  expect(heads.filter(({ here }) => here)).toHaveLength(1);
  const paid = await fetch(`${urls[0]}/orders/7/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ payment: 'p1', amount: 10 }),
  });
  expect(await paid.json()).toEqual({ p1: 10 });
  const bad = await fetch(`${urls[0]}/orders/7/payments`, { method: 'POST' });
  expect(bad.status).toBe(400);
  child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  expect(printed.filter((line) => line.includes('shuts down'))).toHaveLength(3);
});

test.concurrent('a port that is taken is said in one sentence, and the replica ends', async () => {
  await using shop = new Shop('etcd', addressOf('etcd'), 2_000);
  const replica = await shop.add();
  const { port } = new URL(await replica.url);
  const second = new Replica({ ...shop.settings, replica: 'second', port: Number(port) }, (line) =>
    shop.lines.push(line),
  );
  await expect(second.url).rejects.toThrow('replica second ended');
  expect(await second.exited).toEqual([1, null]);
  const said = shop.lines.filter((line) => line.replica === 'second').map(({ msg }) => msg);
  expect(said).toContainEqual(expect.stringMatching(`^cannot listen: .*:${port}; choose another --port$`));
});

test.concurrent('without its server a replica runs, is not ready, and says why', async () => {
  const { ports, release } = await reservePorts(1);
  await using shop = new Shop('etcd', addressOf('etcd'), 2_000);
  try {
    const settings = { ...shop.settings, address: `127.0.0.1:${ports[0]}`, replica: 'alone' };
    const replica = new Replica(settings, (line) => shop.lines.push(line));
    const health = async () =>
      (await fetch(`${await replica.url}/health`)).json() as Promise<{ trouble?: string }>;
    await until(async () => (await health()).trouble !== undefined);
    expect(await health()).toMatchObject({ ready: false, session: 'opening', leader: false });
    expect((await health()).trouble).toContain(`127.0.0.1:${ports[0]}`);
    expect((await fetch(`${await replica.url}/health`)).status).toBe(503);
    replica.kill('SIGTERM');
    expect(await replica.exited).toEqual([null, 'SIGTERM']);
  } finally {
    release();
  }
});

test.concurrent('an unknown backend is refused', async () => {
  const { code, stderr } = await run(process.execPath, [program(main), '--backend', 'redis']);
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('Allowed choices are etcd, consul');
});
