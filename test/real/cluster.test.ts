import { etcd } from 'holdfast/etcd';
import { expect, inject, test } from 'vitest';
import { slowed } from '../busy.ts';
import { Managers, uniqueKey } from '../scenarios/world.ts';
import { failovers } from '../soak/failovers.ts';

/** Nothing listens there. */
const DEAD = '127.0.0.1:1';

test('FAULTS 3: the leader of three members is killed, again and again: no lock is lost, others go on', async () => {
  const { figures } = await failovers({ count: 2 });
  console.info(`FAULTS 3 etcd: ${figures}`);
});

test.concurrent('an endpoint that is dead from the start costs nothing that a caller would notice', async () => {
  const address = inject('etcdAddress');
  let longest = 0;
  // Which one comes first is left to chance.
  for (let round = 0; round < 8; round++) {
    const backend = () => etcd({ hosts: [DEAD, address] });
    await using managers = new Managers({ name: 'etcd', ttl: 2_000, lockDelay: 0, backend });
    const begun = performance.now();
    await managers.make().acquire(uniqueKey('dead'));
    longest = Math.max(longest, performance.now() - begun);
  }
  expect(longest).toBeLessThan(slowed(1_000));
  console.info(`etcd, an endpoint dead from the start: acquired after ${Math.round(longest)} ms at most`);
});
