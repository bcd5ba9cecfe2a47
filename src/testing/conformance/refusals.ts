import assert from 'node:assert/strict';
import type { Commit, Scope } from '../../contract/backend.ts';
import { isSyncError } from '../../contract/errors.ts';
import { type Bench, bytes, text } from './bench.ts';
import type { Rule } from './rule.ts';

/** What no compiler lets pass, but a caller without one may ask for. */
type Loose = Partial<Record<keyof Commit, unknown>>;

export const refusalRules: readonly Rule[] = [
  {
    name: 'what can be read in two ways, or in none, is refused as invalid-option, and nothing of it is done',
    async check(bench) {
      const client = await bench.client();
      const [a, b] = [bench.key('a'), bench.key('b')];
      const value = bytes('new');
      const revision = await bench.put(client, a, 'old');
      await bench.put(client, b, 'old');
      const then = [{ put: a, value }];
      const commits: readonly Loose[] = [
        { then: [{ put: a, remove: b, value }] },
        { then: [{ remove: b, value }] },
        { then: [{ remove: b, session: 's' }] },
        { then: [{}] },
        { then: [null] },
        { then: [{ put: a }] },
        { then: [{ put: a, value: 'text' }] },
        { then: { put: a, value } },
        { when: [{ key: a, is: 'absent', revision }], then },
        { when: [{ key: a, is: 'unowned', session: 's' }], then },
        { when: [{ key: a, revision, session: 's' }], then },
        { when: [{ key: a }], then },
        { when: [{ key: a, is: 'present' }], then },
        { when: [{ key: a, revision: Number(revision) }], then },
        { when: { key: a, revision }, then },
        { then, read: { key: a, prefix: b } },
        { then, read: { key: a }, count: b },
        { then, read: {} },
      ];
      for (const commit of commits) {
        await assert.rejects(bench.commit(client, commit as Partial<Commit>), isRefused, shown(commit));
      }
      const scopes: readonly object[] = [
        {},
        { key: a, prefix: b },
        { key: a, oldest: 1 },
        { prefix: b, oldest: 1, youngest: 1, before: 1n },
        { prefix: b, youngest: 1 },
        { prefix: b, before: 1n },
        { prefix: b, oldest: 0 },
        { prefix: b, oldest: 1.5 },
      ];
      for (const scope of scopes) {
        await assert.rejects(bench.query(client, scope as Scope), isRefused, shown(scope));
      }
      for (const key of [a, b]) assert.equal(text(await bench.get(client, key)), 'old');
    },
  },
  {
    name: 'a member that is undefined is no member',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      await bench.put(client, bench.key('b'));
      const commit = {
        when: [{ key, is: 'absent', revision: undefined, session: undefined }],
        then: [{ put: key, remove: undefined, value: bytes('1'), session: undefined }],
        read: { key, prefix: undefined, oldest: undefined },
        count: undefined,
      };
      const { revision, read } = await bench.apply(client, commit as unknown as Commit);
      assert.deepEqual([text(read?.[0]), read?.[0]?.revision], ['1', revision]);
      const removal = {
        when: [{ key, is: undefined, revision }],
        then: [{ remove: key, put: undefined, value: undefined }],
        read: { prefix: bench.prefix, key: undefined, youngest: undefined, before: undefined },
      };
      const removed = await bench.apply(client, removal as unknown as Commit);
      assert.deepEqual(
        removed.read?.map((record) => record.key),
        [bench.key('b')],
      );
    },
  },
  {
    name: 'as many operations as the trait says are taken; one more is refused as invalid-option, and nothing of it is done',
    async check(bench) {
      const client = await bench.client();
      const { maxOperations } = client.traits;
      const absent = (name: string) => ({ key: bench.key(name), is: 'absent' as const });
      const put = (name: string) => ({ put: bench.key(name), value: bytes('') });
      const many = <T>(count: number, make: (name: string) => T) =>
        Array.from({ length: count }, (_, number) => make(`many/${number}`));
      const read = { key: bench.key('none') };
      for (const more of [0, 1]) {
        const commits: readonly Partial<Commit>[] = [
          { then: many(maxOperations + more, put) },
          { then: many(maxOperations - 1 + more, put), read },
          { then: many(maxOperations - 1 + more, put), count: bench.prefix },
          { when: many(maxOperations - 1 + more, absent), then: [put('a')] },
          { when: many(3, absent), then: many(maxOperations - 4 + more, put), read },
        ];
        for (const commit of commits) {
          if (more > 0) await assert.rejects(bench.commit(client, commit), isRefused);
          else await takeAll(bench, commit);
        }
        assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), []);
      }
    },
  },
];

async function takeAll(bench: Bench, commit: Partial<Commit>): Promise<void> {
  const client = await bench.client();
  await bench.apply(client, commit);
  const { records } = await bench.query(client, { prefix: bench.prefix });
  assert.equal(records.length, commit.then?.length);
  for (let from = 0; from < records.length; from += 32) {
    await bench.apply(client, { then: records.slice(from, from + 32).map(({ key }) => ({ remove: key })) });
  }
}

function isRefused(error: unknown): boolean {
  return isSyncError(error, 'invalid-option') && error.outcome === 'refused';
}

function shown(value: object): string {
  return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each));
}
