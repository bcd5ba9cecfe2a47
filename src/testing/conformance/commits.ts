import assert from 'node:assert/strict';
import { type Bench, bytes, names, text } from './bench.ts';
import type { Rule } from './rule.ts';
import { turn } from './timing.ts';

const PAIRS = 40;
const RACES = 25;

export const commitRules: readonly Rule[] = [
  {
    name: 'a commit without conditions puts and removes',
    async check(bench) {
      const client = await bench.client();
      await bench.put(client, bench.key('old'));
      const { revision } = await bench.apply(client, {
        then: [
          { put: bench.key('a'), value: bytes('1') },
          { put: bench.key('b'), value: bytes('2') },
          { remove: bench.key('old') },
          { remove: bench.key('nothing') },
        ],
      });
      const { records } = await bench.query(client, { prefix: bench.prefix });
      const shown = records.map((record) => [record.key, text(record), record.revision]);
      assert.deepEqual(shown.sort(), [
        [bench.key('a'), '1', revision],
        [bench.key('b'), '2', revision],
      ]);
    },
  },
  {
    name: 'removing what is not there is no error',
    async check(bench) {
      const client = await bench.client();
      const result = await bench.commit(client, { then: [{ remove: bench.key('nothing') }] });
      assert.equal(result.ok, true);
    },
  },
  {
    name: 'one condition that fails keeps all mutations from being applied',
    async check(bench) {
      const client = await bench.client();
      const kept = await bench.put(client, bench.key('kept'), 'kept');
      for (const order of [1, -1]) {
        const result = await bench.commit(client, {
          when: [
            { key: bench.key('kept'), revision: kept } as const,
            { key: bench.key('kept'), is: 'absent' } as const,
            { key: bench.key('a'), is: 'absent' } as const,
          ].sort(() => order),
          then: [{ put: bench.key('a'), value: bytes('1') }, { remove: bench.key('kept') }],
        });
        assert.equal(result.ok || result.why, 'conflict');
        assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), ['kept']);
      }
    },
  },
  {
    name: 'a mutation that the server refuses keeps the others from being applied',
    async check(bench) {
      const client = await bench.client();
      const [gone, alive] = [await bench.session(client), await bench.session(client)];
      await client.closeSession(gone, bench.signal);
      const result = await bench.commit(client, {
        then: [
          { put: bench.key('plain'), value: bytes('1') },
          { put: bench.key('alive'), value: bytes('1'), session: alive },
          { put: bench.key('gone'), value: bytes('1'), session: gone },
        ],
      });
      assert.equal(result.ok || result.why, 'session-gone');
      assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), []);
    },
  },
  {
    name: 'nobody sees half a commit',
    async check(bench) {
      const [writer, reader] = [await bench.client(), await bench.client()];
      let written = 0;
      const write = async () => {
        for (let i = 1; i <= PAIRS; i++) {
          const value = bytes(String(i));
          const then = [
            { put: bench.key('a'), value },
            { put: bench.key('b'), value },
          ];
          await bench.apply(writer, { then });
          written = i;
          await turn();
        }
      };
      const read = async () => {
        while (written < PAIRS) {
          const { records } = await bench.query(reader, { prefix: bench.prefix });
          assert.equal(text(records[0]), text(records[1]));
          assert.notEqual(records.length, 1);
          await turn();
        }
      };
      await Promise.all([write(), read()]);
    },
  },
  {
    name: 'of two clients that race for an absent key exactly one wins',
    async check(bench) {
      await race(bench, 'absent');
    },
  },
  {
    name: 'of two clients that race for an unowned key exactly one wins',
    async check(bench) {
      await race(bench, 'unowned');
    },
  },
  {
    name: '`read` is of the same step, after the mutations when they were applied',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const put = (value: string) =>
        bench.commit(client, {
          when: [{ key, is: 'absent' }],
          then: [{ put: key, value: bytes(value) }],
          read: { key },
        });
      const first = await put('first');
      assert.ok(first.ok);
      assert.equal(first.read?.length, 1);
      assert.equal(text(first.read?.[0]), 'first');
      assert.equal(first.read?.[0]?.revision, first.revision);
      const second = await put('second');
      assert.ok(!second.ok && second.why === 'conflict');
      assert.equal(text(second.read?.[0]), 'first');
      const removed = await bench.apply(client, { then: [{ remove: key }], read: { key } });
      assert.deepEqual(removed.read, []);
    },
  },
  {
    name: '`read` takes every scope',
    async check(bench) {
      const client = await bench.client();
      const prefix = bench.key('queue/');
      await bench.put(client, `${prefix}c`);
      await bench.put(client, `${prefix}a`);
      const created = await bench.put(client, `${prefix}b`);
      const then = [{ put: bench.key('elsewhere'), value: bytes('') }];
      const read = async (scope: Parameters<Bench['query']>[1]) =>
        names((await bench.apply(client, { then, read: scope })).read ?? []);
      assert.deepEqual(await read({ key: `${prefix}a` }), ['a']);
      assert.deepEqual((await read({ prefix })).sort(), ['a', 'b', 'c']);
      assert.deepEqual(await read({ prefix, oldest: 1 }), ['c']);
      assert.deepEqual(await read({ prefix, youngest: 1, before: created }), ['a']);
    },
  },
  {
    name: 'who puts itself into a queue reads its head in the same step',
    async check(bench) {
      const client = await bench.client();
      const prefix = bench.key('queue/');
      for (const name of ['second', 'first', 'third']) {
        const session = await bench.session(client);
        const { read } = await bench.apply(client, {
          when: [{ key: prefix + name, is: 'absent' }],
          then: [{ put: prefix + name, value: bytes(''), session }],
          read: { prefix, oldest: 1 },
        });
        assert.deepEqual(names(read ?? []), ['second']);
      }
    },
  },
  {
    name: '`count` is of the same step, after the mutations, and told when they were applied',
    async check(bench) {
      const client = await bench.client();
      const prefix = bench.key('queue/');
      await bench.put(client, bench.key('queue'));
      await bench.put(client, bench.key('queue0'));
      for (const [place, name] of ['c', 'a', 'b'].entries()) {
        const key = prefix + name;
        const enter = () =>
          bench.commit(client, {
            when: [{ key, is: 'absent' }],
            then: [{ put: key, value: bytes(name) }],
            count: prefix,
          });
        const entered = await enter();
        assert.ok(entered.ok);
        assert.equal(entered.count, place + 1);
        assert.equal(entered.revision, (await bench.get(client, key))?.revision);
        const again = await enter();
        assert.deepEqual(again, { ok: false, why: 'conflict' });
      }
      const moved = await bench.apply(client, {
        then: [{ remove: `${prefix}a` }, { remove: `${prefix}b` }, { put: `${prefix}c`, value: bytes('') }],
        count: prefix,
      });
      assert.equal(moved.count, 1);
      const none = await bench.apply(client, { then: [{ remove: `${prefix}c` }], count: prefix });
      assert.equal(none.count, 0);
    },
  },
  {
    name: 'a commit without mutations tells whether its conditions hold, and the revision of the store',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const revision = await bench.put(client, key);
      const holds = await bench.apply(client, { when: [{ key, revision }], read: { key } });
      assert.ok(holds.revision >= revision);
      assert.deepEqual(names(holds.read ?? []), ['a']);
      const fails = await bench.commit(client, { when: [{ key, is: 'absent' }], read: { key } });
      assert.ok(!fails.ok && fails.why === 'conflict');
      assert.deepEqual(names(fails.read ?? []), ['a']);
    },
  },
];

async function race(bench: Bench, is: 'absent' | 'unowned'): Promise<void> {
  const clients = await Promise.all([bench.client(), bench.client()]);
  const sessions = await Promise.all(clients.map((client) => bench.session(client)));
  const rounds = Array.from({ length: RACES }, async (_, round) => {
    const key = bench.key(`lock-${round}`);
    const attempts = clients.map((client, i) =>
      bench.commit(client, {
        when: [{ key, is }],
        then: [{ put: key, value: bytes(String(i)), session: sessions[i] ?? '' }],
      }),
    );
    const results = await Promise.all(attempts);
    const winners = results.flatMap((result, i) => (result.ok ? [i] : []));
    assert.equal(winners.length, 1, 'exactly one wins');
    for (const result of results) assert.equal(result.ok || result.why === 'conflict', true);
    const record = await bench.get(clients[0] ?? assert.fail(), key);
    assert.equal(record?.session, sessions[winners[0] ?? -1]);
    assert.equal(text(record), String(winners[0]));
  });
  await Promise.all(rounds);
}
