import { consul } from 'holdfast/consul';
import { expect, inject, test } from 'vitest';
import { forwardOnly } from '../../src/sync/manager/forward-only.ts';
import { live } from '../scenarios/world.ts';
import { session, uniquePrefix } from './support.ts';

test('A6: the same session puts an identical value again, which keeps its index: granting goes on', async () => {
  await using server = consul({ addresses: [inject('consulAddress')] });
  const backend = forwardOnly(server);
  const prefix = uniquePrefix();
  const id = await session(backend);
  const put = (name: string) => ({ put: `${prefix}${name}`, value: new Uint8Array([7]), session: id });
  const take = (name: string) =>
    backend.commit({ when: [{ key: `${prefix}${name}`, is: 'absent' }], then: [put(name)] }, live);
  const first = await take('a');
  const second = await take('b');
  if (!first.ok || !second.ok) throw new Error('not taken');
  expect(second.revision).toBeGreaterThan(first.revision);
  const when = [{ key: `${prefix}a`, revision: first.revision }];
  expect(await backend.commit({ when, then: [put('a')] }, live)).toEqual(first);
  expect(await backend.commit({ when: [], then: [put('a')] }, live)).toEqual(first);
  expect(await take('c')).toMatchObject({ ok: true });
  await backend.closeSession(id, live);
});
