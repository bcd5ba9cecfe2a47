import { TcpProxy } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { Managers, next, uniqueKey } from '../scenarios/world.ts';
import { startEtcd } from '../servers/etcd.ts';
import { recorded } from './recorded.ts';
import { connectTo } from './stores.ts';

test('FAULTS 34: an etcd that grants a longer TTL than was asked for: what it granted is what counts', async () => {
  const asked = 2_000;
  // It grants no lease that is shorter than one and a half times this.
  await using server = await startEtcd({ args: ['--heartbeat-interval=100', '--election-timeout=3000'] });
  const backend = () => connectTo('etcd', server.address);
  await using managers = new Managers({ name: 'etcd', ttl: asked, lockDelay: 0, backend });
  await using proxy = await TcpProxy.open(server.address);
  const { backend: holding, granted, calls } = recorded(connectTo('etcd', proxy.address));
  const lock = managers.make({ backend: holding }).lock(uniqueKey('granted'));
  const grant = await lock.lock();
  const [ttl = 0] = granted;
  expect(ttl).toBeGreaterThan(2 * asked);
  const rival = managers.make().lock(lock.key);
  expect(await rival.tryLock()).toBeUndefined();
  const told = next(lock.lost$, () => true).then(() => performance.now());
  const taken = rival.lock().then(() => performance.now());
  const renewed = calls.filter(({ verb }) => verb === 'renewSession').at(-1)?.sent ?? performance.now();
  proxy.set({ cut: 'both' });
  const begun = performance.now();
  const lost = await told;
  expect(lost - begun).toBeGreaterThan(asked);
  expect(lost - renewed).toBeLessThan(ttl - asked / 10 + busy());
  expect(grant.held).toBe(false);
  expect(await taken).toBeGreaterThan(lost);
  console.info(
    `FAULTS 34 etcd: asked for ${asked} ms, granted ${ttl} ms, told ${Math.round(lost - begun)} ms after the cut`,
  );
});
