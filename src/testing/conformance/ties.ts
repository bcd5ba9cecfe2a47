import assert from 'node:assert/strict';
import type { Backend, Scope } from '../../contract/backend.ts';
import { byCreation } from '../../contract/order.ts';
import { type Bench, bytes } from './bench.ts';
import type { Rule } from './rule.ts';

/** More than a server sorts without moving equals about, and none of them where it would stand by itself. */
const TOGETHER = [
  'q',
  'c',
  '\u{1f512}',
  'x',
  'a',
  '\uffee',
  'z',
  'b',
  'k',
  'd',
  'y',
  'e',
  'p',
  'f',
  'w',
  'g',
];

/** Records that one commit made have one revision. */
export const tieRules: readonly Rule[] = [
  {
    name: 'records that one commit made stand in one order, and a bounded scope shows as many of them as it says',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const prefix = bench.key('q/');
      await bench.put(client, `${prefix}r`);
      const { revision } = await bench.apply(client, putting(prefix, TOGETHER));
      const before = (await bench.put(client, `${prefix}h`)) + 1n;
      const order = (await bench.query(client, { prefix })).records.toSorted(byCreation);
      const all = order.map(({ key }) => key);
      assert.deepEqual([all.length, all[0], all.at(-1)], [18, `${prefix}r`, `${prefix}h`]);
      assert.equal(order.filter(({ created }) => created === revision).length, TOGETHER.length);
      for (const n of [1, 3, 13, 17, 30]) {
        const scopes: readonly [Scope, readonly string[]][] = [
          [{ prefix, oldest: n }, all.slice(0, n)],
          [{ prefix, youngest: n, before }, all.toReversed().slice(0, n)],
          [{ prefix, youngest: n, before: revision + 1n }, all.slice(0, -1).toReversed().slice(0, n)],
        ];
        for (const [scope, expected] of scopes) await expectShown(bench, [client, other], scope, expected);
      }
    },
  },
  {
    name: 'a bounded scope that ends among records of one commit wakes for each that it shows, until none is left',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      for (const end of ['oldest', 'youngest'] as const) {
        const prefix = bench.key(`${end}/`);
        const { revision } = await bench.apply(other, putting(prefix, ['d', 'b', 'e', 'a', 'c']));
        const scope =
          end === 'oldest' ? { prefix, oldest: 2 } : { prefix, youngest: 2, before: revision + 1n };
        const left = ['a', 'b', 'c', 'd', 'e'].map((name) => prefix + name);
        if (end === 'youngest') left.reverse();
        let { records, at } = await bench.query(client, scope);
        // In turn the first and the second of those shown.
        for (let turn = 0; left.length > 0; turn++) {
          assert.deepEqual(
            records.map(({ key }) => key),
            left.slice(0, 2),
          );
          const [gone = ''] = left.splice(left.length > 1 ? turn % 2 : 0, 1);
          await bench.remove(other, gone);
          const without = bench.follow(client, scope, at, (shown) => shown.every(({ key }) => key !== gone));
          ({ records, at } = await without);
        }
        assert.deepEqual(records, []);
      }
    },
  },
];

function putting(prefix: string, names: readonly string[]) {
  return { then: names.map((name) => ({ put: prefix + name, value: bytes(name) })) };
}

/** By a query, and in the same step with a commit that is applied or refused. */
async function expectShown(
  bench: Bench,
  clients: readonly Backend[],
  scope: Scope,
  expected: readonly string[],
): Promise<void> {
  const absent = { key: `${scope.prefix}r`, is: 'absent' } as const;
  const shown = await Promise.all(
    clients.flatMap((client) => [
      bench.query(client, scope).then(({ records }) => records),
      bench.apply(client, { then: [{ remove: bench.key('none') }], read: scope }).then(({ read }) => read),
      bench
        .commit(client, { when: [absent], read: scope })
        .then((result) => ('read' in result ? result.read : undefined)),
    ]),
  );
  for (const records of shown) {
    assert.deepEqual(
      records?.map(({ key }) => key),
      expected,
      JSON.stringify({ ...scope, before: String(scope.before) }),
    );
  }
}
