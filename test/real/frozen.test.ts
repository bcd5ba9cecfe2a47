import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { expect, inject, test } from 'vitest';
import { Managers, uniqueKey } from '../scenarios/world.ts';

const fixture = fileURLToPath(new URL('./frozen-fixture.ts', import.meta.url));

test.concurrent.each(['etcd', 'consul'] as const)(
  'FAULTS 9: a holder on %s stopped past its expiry says no at its first look, and its stale write is refused',
  async (store) => {
    const address = inject(store === 'etcd' ? 'etcdAddress' : 'consulAddress');
    const backend = () =>
      store === 'etcd' ? etcd({ hosts: address }) : consul({ addresses: [address], sessionTtlMin: 1_000 });
    await using managers = new Managers({ name: store, ttl: 2_000, lockDelay: 0, backend });
    const key = uniqueKey('frozen');
    const child = fork(fixture, [store, address, key], {
      execArgv: ['--unhandled-rejections=strict', '--import', 'tsx'],
    });
    try {
      const [{ token }] = (await once(child, 'message')) as [{ token: string }];
      child.kill('SIGSTOP');
      // Somebody else holds: the server has given up the stopped one.
      const rival = await managers.make().acquire(key);
      expect(rival.token).toBeGreaterThan(BigInt(token));
      const answer = once(child, 'message');
      child.send('look');
      child.kill('SIGCONT');
      const [belief] = (await answer) as [unknown];
      expect(belief).toEqual({ held: false, aborted: true, written: expect.objectContaining({ ok: false }) });
      expect(rival.held).toBe(true);
      const exited = once(child, 'exit');
      child.send('stop');
      expect(await exited).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  },
);
