import Consul from 'consul';
import { type ConsulOptions, consul } from 'holdfast/consul';
import { expect, inject, test } from 'vitest';
import { fakeHttp, fakeTcp, relayTo } from '../consul/support.ts';
import { live, losses, Managers, stateOf, uniqueKey, until } from '../scenarios/world.ts';

const address = inject('consulAddress');
const ID = '11111111-2222-3333-4444-555555555555';

test.each([404, 405, 503])(
  'C9: Consul behind a load balancer that answers %i for a while: it is waited out, and what is held stays held',
  async (status) => {
    let isAway = false;
    let answered = 0;
    await using balancer = await fakeHttp(
      relayTo(address, (_, answer) => {
        if (!isAway) return false;
        answered += 1;
        answer.writeHead(status, { 'content-type': 'text/html' }).end('<html>no such backend</html>');
        return true;
      }),
    );
    const backend = () => consul({ addresses: [balancer.address], sessionTtlMin: 1_000 });
    await using managers = new Managers({ name: 'Consul', ttl: 6_000, lockDelay: 0, backend });
    const sync = managers.make();
    const lock = sync.lock(uniqueKey('held'));
    const lost = losses(lock);
    const grant = await lock.lock();
    isAway = true;
    const acquiring = sync.acquire(uniqueKey('wanted'));
    const claim = sync.lock(uniqueKey('claimed'));
    const claiming = claim.lock();
    await until(() => answered > 5);
    isAway = false;
    expect((await acquiring).held).toBe(true);
    expect((await claiming).held).toBe(true);
    await stateOf(claim, 'held');
    expect([grant.held, lost]).toEqual([true, []]);
  },
);

/** All that errors show. */
function shown(error: unknown): string {
  const { message, cause, stack } = error as Error;
  return `${message} ${stack} ${cause instanceof Error ? `${cause.message} ${cause.stack}` : String(cause)}`;
}

test.each<[string, object]>([
  ['addresses', { addresses: ['http://user:hunter2@127.0.0.1:1'] }],
  ['addresses', { addresses: ['user:hunter2@127.0.0.1'] }],
  ['addresses', { addresses: ['ftp://user:hunter2@127.0.0.1'] }],
  ['addresses', { addresses: ['127.0.0.1:8500/v1?token=hunter2'] }],
  ['addresses', { addresses: ['unix:hunter2'] }],
  ['addresses', { addresses: ['127.0.0.1:hunter2'] }],
  ['host', { host: 'user:hunter2@127.0.0.1' }],
  ['host', { host: 'http://127.0.0.1/hunter2' }],
  ['port', { port: '8500/hunter2' }],
  ['maxConnections', { maxConnections: 'hunter2' }],
  ['token', { token: 'hunter2\n' }],
  ['datacenter', { datacenter: 'user:hunter2' }],
])('C11: Consul, a bad "%s" is refused without what else stands in it: %o', (option, options) => {
  let error: unknown;
  try {
    consul(options as ConsulOptions);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'invalid-option' });
  expect(shown(error)).toContain(`"${option}"`);
  expect(shown(error)).not.toContain('hunter2');
});

test('C11: Consul, a lent client whose address has a password: no error shows more of it than host and port', async () => {
  await using failing = await fakeHttp((_, answer) => answer.writeHead(500).end());
  await using moving = await fakeHttp((_, answer) => answer.writeHead(301, { location: '/x' }).end());
  await using silent = await fakeHttp(() => {});
  await using garbling = await fakeTcp((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
  await using gone = await fakeTcp(() => {});
  await gone[Symbol.asyncDispose]();
  for (const { address: at } of [failing, moving, silent, garbling, gone]) {
    const baseUrl = `http://user:hunter2@${at}/v1/secret-path`;
    const client = new Consul({ baseUrl } as unknown as ConstructorParameters<typeof Consul>[0]);
    await using backend = consul({ client, requestTimeout: 200 });
    const calls = [
      backend.query({ key: 'a' }, { signal: live }),
      backend.query({ key: 'a' }, { since: '1:-', wait: 200, signal: live }),
      backend.commit({ when: [], then: [{ remove: 'a' }] }, live),
      backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, live),
      backend.renewSession(ID, live),
    ];
    for (const each of await Promise.allSettled(calls)) {
      if (each.status === 'fulfilled') throw new Error('not refused');
      expect(shown(each.reason)).toContain(at);
      expect(shown(each.reason)).not.toMatch(/hunter2|user:|secret-path/);
    }
  }
});
