import assert from 'node:assert/strict';
import type { Backend, Condition, Revision } from '../../sync/backend.ts';
import { type Bench, bytes, text } from './bench.ts';
import type { Rule } from './subject.ts';

/** A record owned by one session, and another session that it can pass to. */
interface HandOver {
  readonly client: Backend;
  readonly key: string;
  readonly owner: string;
  readonly next: string;
  readonly revision: Revision;
}

export const handOverRules: readonly Rule[] = [
  {
    name: 'a record passes to another session on condition of the one that owns it',
    check: (bench) => expectPassed(bench, ({ key, owner }) => [{ key, session: owner }]),
  },
  {
    name: 'a record passes to another session on condition of its revision',
    check: (bench) => expectPassed(bench, ({ key, revision }) => [{ key, revision }]),
  },
  {
    name: 'a record passes to another session on condition of both its owner and its revision',
    check: (bench) =>
      expectPassed(bench, ({ key, owner, revision }) => [
        { key, session: owner },
        { key, revision },
      ]),
  },
  {
    name: 'a record that has passed on stays when its first session ends, and goes with the one that owns it',
    async check(bench) {
      const { client, key, owner, next } = await handOver(bench);
      const when = [{ key, session: owner }];
      const { revision } = await bench.apply(client, { when, then: [put(key, next)] });
      const { at } = await bench.query(client, { key });
      await client.closeSession(owner, bench.signal);
      const record = await bench.get(client, key);
      assert.deepEqual([record?.session, record?.revision], [next, revision]);
      await client.closeSession(next, bench.signal);
      await bench.follow(client, { key }, at, (records) => records.length === 0);
    },
  },
  {
    name: "a record does not pass on when it is not that session's, or no longer of that revision",
    async check(bench) {
      const { client, key, owner, next, revision } = await handOver(bench);
      const third = await bench.session(client);
      const refused: readonly Condition[] = [
        { key, session: next },
        { key, session: third },
        { key, revision: revision + 1n },
        { key: bench.key('nothing'), session: owner },
      ];
      for (const condition of refused) {
        const then = [put(condition.key, third), { remove: bench.key('other') }];
        const result = await bench.commit(client, { when: [condition], then });
        assert.equal(result.ok || result.why, 'conflict');
      }
      await expectUntouched(bench, { client, key, owner, next, revision });
    },
  },
  {
    name: 'a record does not pass to a session that is gone, and nothing else of the commit is done',
    async check(bench) {
      const before = await handOver(bench);
      const { client, key, owner, next, revision } = before;
      await client.closeSession(next, bench.signal);
      for (const condition of [
        { key, session: owner },
        { key, revision },
      ]) {
        const then = [put(key, next), { remove: bench.key('other') }];
        const result = await bench.commit(client, { when: [condition], then });
        assert.equal(result.ok || result.why, 'session-gone');
      }
      await expectUntouched(bench, before);
    },
  },
  {
    name: 'a record passes from hand to hand and back, each time with a larger revision',
    async check(bench) {
      const { client, key, owner, next, revision } = await handOver(bench);
      let last = revision;
      for (const [from, to] of [
        [owner, next],
        [next, owner],
        [owner, next],
      ] as const) {
        const when = [{ key, session: from }];
        const passed = await bench.apply(client, { when, then: [put(key, to)] });
        assert.ok(passed.revision > last, 'larger than the one before');
        last = passed.revision;
        assert.equal((await bench.get(client, key))?.session, to);
      }
    },
  },
];

async function handOver(bench: Bench): Promise<HandOver> {
  const client = await bench.client();
  const [owner, next] = [await bench.session(client), await bench.session(client)];
  const key = bench.key('lock');
  await bench.put(client, bench.key('other'));
  const revision = await bench.put(client, key, 'first', owner);
  return { client, key, owner, next, revision };
}

/** The next owner's record is as good as one it put itself, and what else the commit says is done with it. */
async function expectPassed(bench: Bench, conditions: (about: HandOver) => Condition[]): Promise<void> {
  const about = await handOver(bench);
  const { client, key, owner, next, revision } = about;
  const other = bench.key('other');
  const seen = (await bench.get(client, other))?.revision ?? 0n;
  const { at } = await bench.query(client, { key });
  const passed = await bench.apply(client, {
    when: [...conditions(about), { key: other, revision: seen }],
    then: [put(key, next), { remove: other }],
  });
  assert.ok(passed.revision > revision, 'the revision grows');
  const { records } = await bench.follow(client, { key }, at, ([record]) => record?.session === next);
  const [record] = records;
  assert.equal(text(record), 'passed on');
  assert.equal(record?.revision, passed.revision);
  assert.equal(record?.foreign, undefined);
  assert.equal(await bench.get(client, other), undefined);
  const remove = (session: string) =>
    bench.commit(client, { when: [{ key, session }], then: [{ remove: key }] });
  assert.equal((await remove(owner)).ok, false, 'the one before owns it no more');
  assert.equal((await remove(next)).ok, true);
}

async function expectUntouched(bench: Bench, { client, key, owner, revision }: HandOver): Promise<void> {
  const record = await bench.get(client, key);
  assert.deepEqual([text(record), record?.session, record?.revision], ['first', owner, revision]);
  assert.notEqual(await bench.get(client, bench.key('other')), undefined);
}

function put(key: string, session: string) {
  return { put: key, value: bytes('passed on'), session };
}
