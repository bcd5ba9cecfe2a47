import { memory } from 'holdfast/memory';
import { expect, test } from 'vitest';
import { failure } from '../consul/support.ts';

const { signal } = new AbortController();
const commit = { when: [], then: [{ put: 'a', value: new Uint8Array() }] };

test('A5: a commit that the disposal overtakes is unknown, one that comes after it is refused, and a read leaves nothing open', async () => {
  const backend = memory();
  const overtaken = failure(backend.commit(commit, signal), 'stopped');
  const read = failure(backend.query({ key: 'a' }, { signal }), 'stopped');
  await backend[Symbol.asyncDispose]();
  expect([(await overtaken).outcome, (await read).outcome]).toEqual(['unknown', 'refused']);
  expect((await failure(backend.commit(commit, signal), 'stopped')).outcome).toBe('refused');
});

test('A5: what the store would not take is refused', async () => {
  const backend = memory({ maxValueBytes: 10 });
  for (const [then, code] of [
    [[{ remove: '' }], 'invalid-key'],
    [[{ remove: 'a' }, { remove: 'a' }], 'invalid-option'],
    [[{ put: 'a', value: new Uint8Array(11) }], 'value-too-large'],
  ] as const) {
    expect((await failure(backend.commit({ when: [], then }, signal), code)).outcome).toBe('refused');
  }
});
