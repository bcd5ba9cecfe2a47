import { etcd } from 'holdfast/etcd';
import { expect, inject, test } from 'vitest';
import { failure, fakeTcp } from '../consul/support.ts';
import { live, uniqueKey } from '../scenarios/world.ts';

const commit = { when: [], then: [{ remove: 'a' }] };

test('A5: a commit to a server that is not there is refused, alone and with others', async () => {
  await using gone = await fakeTcp(() => {});
  await gone[Symbol.asyncDispose]();
  await using backend = etcd({ hosts: gone.address, requestTimeout: 2_000 });
  const remove = (key: string) => backend.commit({ when: [], then: [{ remove: key }] }, live);
  const together = await Promise.all(['a', 'b'].map((key) => failure(remove(key), 'unavailable')));
  const alone = await failure(remove('c'), 'unavailable');
  expect([...together, alone].map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused']);
});

test('A5: a commit that was sent and cut off is unknown; a read is not', async () => {
  await using silent = await fakeTcp((socket) => socket.once('data', () => undefined));
  await using backend = etcd({ hosts: silent.address, requestTimeout: 300 });
  const read = backend.query({ key: 'a' }, { signal: live });
  expect(await failure(read, 'unavailable')).toMatchObject({ outcome: 'refused' });
  await using real = etcd({ hosts: inject('etcdAddress') });
  const key = uniqueKey('outcome');
  await real.query({ key }, { signal: live });
  const cut = failure(real.commit({ when: [], then: [{ remove: key }] }, live), 'stopped');
  await new Promise((resolve) => setImmediate(resolve));
  await real[Symbol.asyncDispose]();
  expect(await cut).toMatchObject({ outcome: 'unknown' });
  expect(await failure(real.commit(commit, live), 'stopped')).toMatchObject({ outcome: 'refused' });
});

test('A5: what is refused before any I/O', async () => {
  await using backend = etcd({ hosts: inject('etcdAddress') });
  const value = new Uint8Array(2 ** 21);
  for (const [then, code] of [
    [[{ remove: '' }], 'invalid-key'],
    [[{ remove: 'a\0' }], 'invalid-key'],
    [[{ remove: 'a' }, { remove: 'a' }], 'invalid-option'],
    [[{ put: 'a', value }], 'value-too-large'],
  ] as const) {
    expect(await failure(backend.commit({ when: [], then }, live), code)).toMatchObject({
      outcome: 'refused',
    });
  }
});
