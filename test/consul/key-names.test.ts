import { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { losses, stateOf, uniqueKey } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { fakeHttp, relayTo, until } from './support.ts';

let server: ConsulServer;
beforeAll(async () => {
  server = await startConsul({ sessionTtlMin: '1s' });
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** What Consul 1.21.5 takes in a path below `/v1/kv/`; to all else it answers 500. */
const TAKEN = /^\/v1\/kv\/[a-zA-Z0-9,_./\-?&=]*$/;

/** Stands before a real Consul, and answers 500 to the reads that `refuses` says. */
function relay(refuses: (path: string) => boolean) {
  return fakeHttp(
    relayTo(server.address, (incoming, outgoing) => {
      const [path = ''] = (incoming.url ?? '').split('?');
      if (!path.startsWith('/v1/kv/') || !refuses(decodeURIComponent(path))) return false;
      outgoing.writeHead(500, { 'content-type': 'text/plain' }).end('invalid key name, please use letters');
      return true;
    }),
  );
}

describe('A10: a Consul that takes only some keys in a path', () => {
  test('serves locks of other keys all the same: held, waited for, and lost at once when they are deleted', async () => {
    await using old = await relay((path) => !TAKEN.test(path));
    const connect = () => consul({ addresses: [old.address], sessionTtlMin: 1_000 });
    const session = { ttl: 4_000, lockDelay: 0 };
    await using sync = new SyncManager({ name: 'one', backend: connect(), session });
    await using other = new SyncManager({ name: 'two', backend: connect(), session });
    const key = `${uniqueKey('tenant')}:42/x`;
    const lock = sync.lock(key);
    const lost = losses(lock);
    const grant = await lock.lock();
    expect(await other.tryAcquire(key)).toBeUndefined();
    // Longer than it is believed in without a good look.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect([grant.held, lost]).toEqual([true, []]);
    await server.cli(['kv', 'delete', grant.isOwner.key]);
    await until('a loss', () => lost.length > 0);
    expect(lost).toMatchObject([{ reason: 'record-gone' }]);
    await stateOf(lock, 'held');
    const next = other.acquire(key, { timeout: 10_000 });
    await lock.release();
    expect((await next).held).toBe(true);
  });

  test('and a record that cannot be read at all is not believed in for ever', async () => {
    let broken = false;
    await using old = await relay(() => broken);
    const backend = consul({ addresses: [old.address], sessionTtlMin: 1_000 });
    await using sync = new SyncManager({ name: 'one', backend, session: { ttl: 10_000, lockDelay: 0 } });
    const lock = sync.lock(uniqueKey('unreadable'));
    const lost = losses(lock);
    const grant = await lock.lock();
    broken = true;
    await until('a loss', () => lost.length > 0, 25_000);
    expect(lost).toMatchObject([{ reason: 'record-unreadable' }]);
    expect(grant.held).toBe(false);
    broken = false;
    await stateOf(lock, 'held');
  });
});
