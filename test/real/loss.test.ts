import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { expect, inject, test } from 'vitest';
import { Managers, next, sessionOf, stateOf, uniqueKey } from '../scenarios/world.ts';
import { silentProxy } from './silent-proxy.ts';

const TTL = 2_000;
const MARGIN = TTL / 10;

const stores: Record<string, [address: string, connect: (address: string) => Backend]> = {
  etcd: [inject('etcdAddress'), (address) => etcd({ hosts: address })],
  Consul: [inject('consulAddress'), (address) => consul({ addresses: [address], sessionTtlMin: 1_000 })],
};

test.concurrent.each(Object.entries(stores))(
  'FAULTS 5: cut off from %s without a word, the holder is told by its deadline, and before anybody else holds',
  async (name, [address, connect]) => {
    await using proxy = await silentProxy(address);
    // Without a lock-delay: nothing but the deadline keeps the two apart.
    await using managers = new Managers({ name, ttl: TTL, lockDelay: 0, backend: () => connect(address) });
    const key = uniqueKey('silent');
    const holder = managers.make({ backend: connect(proxy.address) });
    const lock = holder.lock(key);
    const grant = await lock.lock();
    await sessionOf(holder);
    const rival = managers.make().lock(key);
    await rival.tryLock();

    const silentAt = performance.now();
    proxy.fallSilent();
    const told = next(lock.lost$, () => true).then((loss) => ({ ...loss, at: performance.now() }));
    const taken = stateOf(rival, 'held').then(() => performance.now());
    const lost = await told;
    expect(lost.reason).toBe('deadline');
    expect([grant.held, grant.signal.aborted]).toEqual([false, true]);
    // At the latest TTL less margin after the last renewal, which was before the silence; and what a busy machine adds.
    expect(lost.at - silentAt).toBeLessThan(TTL - MARGIN + 150);
    const takenAt = await taken;
    expect(takenAt).toBeGreaterThan(lost.at);
    console.info(`${name}: told ${Math.round(takenAt - lost.at)} ms before the next holder`);
  },
);
