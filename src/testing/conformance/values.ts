import assert from 'node:assert/strict';
import { isSyncError } from '../../contract/errors.ts';
import type { Rule } from './rule.ts';

function isTooLarge(error: unknown): boolean {
  return isSyncError(error, 'value-too-large') && error.outcome === 'refused';
}

export const valueRules: readonly Rule[] = [
  {
    name: 'a value comes back byte for byte, also an empty one',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      const values = [all, all.toReversed(), new Uint8Array(), Uint8Array.of(0), Uint8Array.of(0xff, 0xfe)];
      for (const [i, value] of values.entries()) {
        for (const owner of [undefined, session]) {
          const key = bench.key(`${i}-${owner === undefined ? 'plain' : 'owned'}`);
          const put = { put: key, value };
          await bench.apply(client, { then: [owner === undefined ? put : { ...put, session: owner }] });
          const record = await bench.get(client, key);
          assert.ok(record !== undefined);
          assert.deepEqual([...record.value], [...value]);
        }
      }
    },
  },
  {
    name: 'a value is stored as it was at the commit, and what a query gave is the caller’s',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const value = Uint8Array.of(1, 2, 3);
      const committed = bench.apply(client, { then: [{ put: key, value }], read: { key } });
      value[0] = 9;
      const { read } = await committed;
      value[1] = 9;
      for (const given of [read?.[0], await bench.get(client, key), await bench.get(client, key)]) {
        assert.deepEqual([...(given?.value ?? [])], [1, 2, 3]);
        given?.value.fill(7);
      }
    },
  },
  {
    name: 'a part of a larger buffer is stored as that part',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const value = Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4);
      await bench.apply(client, { then: [{ put: key, value }] });
      assert.deepEqual([...((await bench.get(client, key))?.value ?? [])], [2, 3, 4]);
    },
  },
  {
    name: 'a value up to the limit is taken, one byte more is refused as value-too-large',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      const limit = client.traits.maxValueBytes;
      for (const [name, owner] of [
        ['plain', {}],
        ['owned', { session }],
      ] as const) {
        const key = bench.key(name);
        const put = (length: number) => ({ put: key, value: new Uint8Array(length).fill(0xa5), ...owner });
        for (const length of [limit - 1, limit]) {
          await bench.apply(client, { then: [put(length)] });
          assert.equal((await bench.get(client, key))?.value.byteLength, length);
        }
        const refused = bench.commit(client, { then: [put(limit + 1)] });
        await assert.rejects(refused, isTooLarge);
        assert.equal((await bench.get(client, key))?.value.byteLength, limit);
      }
    },
  },
];
