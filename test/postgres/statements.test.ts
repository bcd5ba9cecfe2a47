import { postgres } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { formOf, sizeOf } from '../../src/backends/postgres/statements.ts';
import { live } from '../scenarios/world.ts';

test('what a statement takes is told with its values, in whatever form it goes', () => {
  const key = 'k/.lock/s';
  const value = new Uint8Array(10_000);
  const enter = formOf(
    { when: [{ key, is: 'absent' }], then: [{ put: key, value, session: 's' }], count: 'k/.lock/' },
    () => true,
  );
  const any = formOf({ when: [], then: [{ put: 'data', value }] }, () => true);
  expect([enter.form, any.form]).toEqual(['enter', 'any']);
  // In hexadecimal.
  for (const form of [enter, any]) expect(sizeOf(form)).toBeGreaterThan(2 * value.length);
});

test('rows that are none of the statement that was asked are an error of the call, and of nobody else', async () => {
  const query = async (text: string) =>
    text.includes('hello_1')
      ? [{ timeline: 't', version: 1, readable_from: 1, encoding: 'UTF8' }]
      : [{ n: 0, key: 'k', value: '00' }];
  await using backend = postgres({ query });
  await expect(backend.query({ key: 'k' }, { signal: live })).rejects.toMatchObject({ name: 'SyncError' });
});
