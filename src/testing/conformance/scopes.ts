import assert from 'node:assert/strict';
import type { Rule } from './rule.ts';

export const scopeRules: readonly Rule[] = [
  {
    name: 'a key scope shows that key, not those that begin with it',
    async check(bench) {
      const client = await bench.client();
      for (const name of ['a', 'ab', 'a.b', 'A']) await bench.put(client, bench.key(name));
      await bench.put(client, bench.key('a/b'));
      const { records } = await bench.query(client, { key: bench.key('a') });
      assert.deepEqual(
        records.map(({ key }) => key),
        [bench.key('a')],
      );
      await bench.remove(client, bench.key('a'));
      assert.deepEqual((await bench.query(client, { key: bench.key('a') })).records, []);
    },
  },
  {
    name: 'a prefix that ends with a slash shows what is below it, not siblings with the same stem',
    async check(bench) {
      const client = await bench.client();
      const inside = ['a/', 'a/x', 'a/y/z', 'a/x.'];
      for (const name of [...inside, 'a', 'ab', 'a.b/x', 'a0', 'b/a/x']) {
        await bench.put(client, bench.key(name));
      }
      const { records } = await bench.query(client, { prefix: bench.key('a/') });
      const shown = records.map(({ key }) => key).sort();
      assert.deepEqual(shown, inside.map((name) => bench.key(name)).sort());
    },
  },
  {
    name: 'a prefix sees creation and removal below it by waiting',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const scope = { prefix: bench.key('a/') };
      let { at } = await bench.query(client, scope);
      await bench.put(other, bench.key('ab'));
      await bench.put(other, bench.key('a/x'));
      ({ at } = await bench.follow(client, scope, at, (records) => records.length === 1));
      await bench.put(other, bench.key('a/y/z'));
      ({ at } = await bench.follow(client, scope, at, (records) => records.length === 2));
      await bench.remove(other, bench.key('a/x'));
      await bench.follow(client, scope, at, (records) => records.length === 1);
    },
  },
  {
    name: '`oldest` shows the first by creation in that order, however they were overwritten',
    async check(bench) {
      const client = await bench.client();
      const prefix = bench.key('q/');
      const session = await bench.session(client);
      for (const name of ['d', 'b', 'e', 'a', 'c']) await bench.put(client, prefix + name, '', session);
      await bench.put(client, `${prefix}d`, 'again', session);
      assert.deepEqual(await bench.list(client, { prefix, oldest: 1 }), ['d']);
      assert.deepEqual(await bench.list(client, { prefix, oldest: 3 }), ['d', 'b', 'e']);
      assert.deepEqual(await bench.list(client, { prefix, oldest: 9 }), ['d', 'b', 'e', 'a', 'c']);
      await bench.remove(client, `${prefix}d`);
      await bench.put(client, `${prefix}d`, '', session);
      assert.deepEqual(await bench.list(client, { prefix, oldest: 2 }), ['b', 'e']);
      assert.deepEqual(await bench.list(client, { prefix: bench.key('none/'), oldest: 2 }), []);
    },
  },
  {
    name: '`oldest` sees its head go and a newcomer come by waiting',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const prefix = bench.key('q/');
      const scope = { prefix, oldest: 1 };
      let { at } = await bench.query(client, scope);
      await bench.put(other, `${prefix}b`);
      ({ at } = await bench.follow(client, scope, at, ([head]) => head?.key === `${prefix}b`));
      await bench.put(other, `${prefix}a`);
      await bench.remove(other, `${prefix}b`);
      ({ at } = await bench.follow(client, scope, at, ([head]) => head?.key === `${prefix}a`));
      await bench.remove(other, `${prefix}a`);
      await bench.follow(client, scope, at, (records) => records.length === 0);
    },
  },
  {
    name: '`youngest` shows the direct predecessor, and as many more as were asked for, youngest first',
    async check(bench) {
      const client = await bench.client();
      const prefix = bench.key('q/');
      const session = await bench.session(client);
      const created = new Map<string, bigint>();
      for (const name of ['d', 'b', 'a', 'c']) {
        created.set(name, await bench.put(client, prefix + name, '', session));
      }
      const before = (name: string, youngest = 1) => {
        const bound = created.get(name) ?? assert.fail(name);
        return bench.list(client, { prefix, youngest, before: bound });
      };
      // Overwriting is not creating: the place in the queue stays.
      await bench.put(client, `${prefix}d`, 'again', session);
      assert.deepEqual(await before('d'), []);
      assert.deepEqual(await before('b'), ['d']);
      assert.deepEqual(await before('a'), ['b']);
      assert.deepEqual(await before('c'), ['a']);
      await bench.remove(client, `${prefix}a`);
      assert.deepEqual(await before('c'), ['b']);
      assert.deepEqual(await before('c', 2), ['b', 'd']);
      assert.deepEqual(await before('c', 5), ['b', 'd']);
    },
  },
  {
    name: '`youngest` wakes when the predecessor goes, and shows the next one',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const prefix = bench.key('q/');
      const sessions = [await bench.session(other), await bench.session(other)];
      await bench.put(other, `${prefix}c`, '', sessions[0]);
      await bench.put(other, `${prefix}b`, '', sessions[1]);
      await bench.put(other, `${prefix}a`);
      const mine = await bench.put(client, `${prefix}mine`);
      const scope = { prefix, youngest: 1, before: mine };
      let { records, at } = await bench.query(client, scope);
      const expect = (name: string) => assert.equal(records[0]?.key, prefix + name);
      expect('a');
      await bench.put(other, `${prefix}behind`);
      await bench.remove(other, `${prefix}a`);
      ({ records, at } = await bench.follow(client, scope, at, ([head]) => head?.key !== `${prefix}a`));
      expect('b');
      await other.closeSession(sessions[1] ?? '', bench.signal);
      ({ records, at } = await bench.follow(client, scope, at, ([head]) => head?.key !== `${prefix}b`));
      expect('c');
      await bench.remove(other, `${prefix}c`);
      await bench.follow(client, scope, at, (shown) => shown.length === 0);
    },
  },
  {
    name: '`youngest` before a revision to come shows who comes until then',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const prefix = bench.key('q/');
      const first = await bench.put(other, `${prefix}a`);
      const scope = { prefix, youngest: 2, before: first + 1_000_000n };
      const { records, at } = await bench.query(client, scope);
      assert.equal(records.length, 1);
      const coming = bench.follow(client, scope, at, ([head]) => head?.key === `${prefix}b`);
      await bench.put(other, `${prefix}b`);
      assert.equal((await coming).records.length, 2);
    },
  },
  {
    name: '`youngest` with oneself among them wakes for either, and tells what is left',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      for (const goes of ['ahead', 'mine']) {
        const prefix = bench.key(`q-${goes}/`);
        await bench.put(other, `${prefix}ahead`, 'theirs');
        const mine = await bench.put(client, `${prefix}mine`, 'ours');
        await bench.put(other, `${prefix}behind`);
        const scope = { prefix, youngest: 2, before: mine + 1n };
        const { records, at } = await bench.query(client, scope);
        assert.deepEqual(
          records.map(({ key }) => key),
          [`${prefix}mine`, `${prefix}ahead`],
        );
        const waiting = bench.follow(client, scope, at, (shown) => shown.length === 1);
        await bench.put(other, bench.key('elsewhere'));
        await bench.remove(other, prefix + goes);
        const left = records.filter(({ key }) => key !== prefix + goes);
        const shown = await waiting;
        assert.deepEqual(shown.records, left);
        // The cursor is as good as that of a read.
        const since = { since: shown.at, wait: 50, signal: bench.signal };
        assert.deepEqual((await client.query(scope, since)).records, left);
      }
    },
  },
  {
    name: 'the locks of `k` and of `k/x` do not see each other',
    async check(bench) {
      const client = await bench.client();
      const queue = client.traits.contention === 'queue';
      const session = await bench.session(client);
      const locks = ['k', 'k/x', 'k/x/y', 'kk'].map((name) => client.lockPath(bench.key(name)));
      for (const path of locks) {
        bench.alsoClear(path);
        await bench.put(client, queue ? path + session : path, '', session);
      }
      for (const path of locks) {
        const { records } = await bench.query(client, queue ? { prefix: path } : { key: path });
        assert.deepEqual(
          records.map(({ key }) => key),
          [queue ? path + session : path],
        );
      }
    },
  },
];
