import { MemoryStore, memory } from 'holdfast/memory';
import { expect, test } from 'vitest';
import { lossesByGrant, Managers, sessionOf, until } from './world.ts';

test('F2: a loss that came before anybody asked for it is told, and that of the grant that was asked for', async () => {
  const store = new MemoryStore();
  const backend = () => memory({ store });
  await using managers = new Managers({ name: 'memory', ttl: 60_000, lockDelay: 0, backend });
  const manager = managers.make();
  const lock = manager.lock('k');
  const lossOf = lossesByGrant(lock);
  const grants = [];
  for (let round = 0; round < 2; round++) {
    const grant = await lock.lock();
    grants.push(grant);
    store.destroySession(await sessionOf(manager));
    await until(() => !grant.held);
  }
  for (const grant of grants) expect(await lossOf(grant)).toMatchObject({ token: grant.token });
});
