import assert from 'node:assert/strict';
import { bytes, text } from './bench.ts';
import type { Rule } from './rule.ts';

/** More than a backend may want to put into one request. */
const MANY = 150;

/** Commits that are issued in one turn: a backend may send them together, and nobody may notice. */
export const togetherRules: readonly Rule[] = [
  {
    name: 'commits issued together have outcomes of their own',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      for (let n = 0; n < MANY; n += 10) await bench.put(client, bench.key(`k${n}`), 'taken');
      const results = await Promise.all(
        Array.from({ length: MANY }, (_, n) => {
          const key = bench.key(`k${n}`);
          const then = [{ put: key, value: bytes(`v${n}`), ...(n % 2 === 0 ? { session } : {}) }];
          return bench.commit(client, { when: [{ key, is: 'absent' }], then });
        }),
      );
      const { records } = await bench.query(client, { prefix: bench.prefix });
      const stored = new Map(records.map((record) => [record.key, record]));
      for (const [n, result] of results.entries()) {
        const record = stored.get(bench.key(`k${n}`));
        assert.equal(result.ok, n % 10 !== 0, `k${n}`);
        assert.equal(text(record), n % 10 === 0 ? 'taken' : `v${n}`);
        if (!result.ok) assert.equal(result.why, 'conflict');
        else assert.deepEqual([record?.revision, record?.created], [result.revision, result.revision]);
      }
    },
  },
  {
    name: 'of commits for one key issued together the conditions are kept, as if one came after the other',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('one');
      const results = await Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          bench.commit(client, { when: [{ key, is: 'absent' }], then: [{ put: key, value: bytes(`${n}`) }] }),
        ),
      );
      const winners = results.flatMap(({ ok }, n) => (ok ? [`${n}`] : []));
      assert.equal(winners.length, 1);
      assert.equal(text(await bench.get(client, key)), winners[0]);
    },
  },
  {
    name: 'one that conditions on or reads what another issued with it writes sees it before or after, whole',
    async check(bench) {
      const client = await bench.client();
      for (let round = 0; round < 10; round++) {
        const [from, to] = [bench.key(`from${round}`), bench.key(`to${round}`)];
        await bench.put(client, from, 'x');
        const [moved, copied] = await Promise.all([
          bench.commit(client, { then: [{ put: to, value: bytes('x') }, { remove: from }] }),
          bench.commit(client, {
            when: [{ key: from, is: 'absent' }],
            then: [{ put: bench.key(`saw${round}`), value: bytes('') }],
            read: { key: to },
          }),
        ]);
        assert.ok(moved?.ok);
        const read = copied !== undefined && 'read' in copied ? copied.read : undefined;
        if (copied?.ok) assert.equal(text(read?.[0]), 'x');
      }
    },
  },
  {
    name: 'of those that enter one queue together, each counts those that came before it',
    async check(bench) {
      const client = await bench.client();
      const queues = ['a/', 'b/', 'a/within/'].map((name) => bench.key(name));
      const entries = Array.from({ length: 30 }, (_, n) => {
        const queue = queues[n % queues.length] ?? '';
        return { queue, key: `${queue}${n}` };
      });
      const results = await Promise.all(
        entries.map(({ queue, key }) =>
          bench.apply(client, {
            when: [{ key, is: 'absent' }],
            then: [{ put: key, value: bytes('') }],
            count: queue,
          }),
        ),
      );
      for (const queue of queues) {
        const here = results.filter((_, n) => entries[n]?.queue === queue);
        here.sort((a, b) => (a.count ?? 0) - (b.count ?? 0));
        // What lies in the queue within it is counted too.
        if (queue !== queues[0])
          assert.deepEqual(
            here.map(({ count }) => count),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
          );
        // None is created in one step with another of them: who came first must be seen later on, too.
        for (const [place, { revision }] of here.entries()) {
          assert.ok(revision > (here[place - 1]?.revision ?? 0n), `${place}: ${revision}`);
        }
      }
    },
  },
  {
    name: 'one of them that names a session that is gone spoils nothing for the others',
    async check(bench) {
      const client = await bench.client();
      const [live, dead] = [await bench.session(client), await bench.session(client)];
      await client.closeSession(dead, bench.signal);
      const results = await Promise.all(
        [live, dead, live, undefined].map((session, n) => {
          const put = { put: bench.key(`k${n}`), value: bytes('v') };
          return bench.commit(client, { then: [session === undefined ? put : { ...put, session }] });
        }),
      );
      const why = results.map((result) => result.ok || result.why);
      assert.deepEqual(why, [true, 'session-gone', true, true]);
      assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), ['k0', 'k2', 'k3']);
    },
  },
  {
    name: 'one of them that is given up takes nobody along',
    async check(bench) {
      const client = await bench.client();
      const giver = new AbortController();
      const reason = new Error('gave up');
      const calls = [0, 1, 2].map((n) => {
        const then = [{ put: bench.key(`k${n}`), value: bytes('v') }];
        return client.commit({ when: [], then }, n === 1 ? giver.signal : bench.signal);
      });
      giver.abort(reason);
      const [before, given, after] = await Promise.allSettled(calls);
      assert.ok(given?.status === 'rejected' && given.reason === reason);
      for (const other of [before, after]) assert.ok(other?.status === 'fulfilled' && other.value.ok);
      // It may have been on its way; but then it ends by itself.
      const stored = await bench.list(client, { prefix: bench.prefix });
      assert.deepEqual(
        stored.filter((name) => name !== 'k1'),
        ['k0', 'k2'],
      );
    },
  },
];
