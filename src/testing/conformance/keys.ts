import assert from 'node:assert/strict';
import type { Commit, Scope } from '../../contract/backend.ts';
import { isSyncError } from '../../contract/errors.ts';
import { bytes, text } from './bench.ts';
import type { Rule } from './rule.ts';

/** In bytes. */
const LONG = 512;
const VERY_LONG = 4096;

const goodKeys: readonly string[] = [
  'a.b',
  'a b',
  ' a ',
  'a?b=c&d',
  'a#b',
  'a%2Fb',
  '%2e%2e',
  '%2e%2e/%2e%2e/x',
  '%',
  '%00',
  'a+b',
  'a:b;c,d',
  '"quoted"',
  'back\\slash',
  '{"json":[1]}',
  'ключ/鍵/مفتاح',
  'e\u0301 and \u00e9',
  '🔒/👩‍👩‍👧',
  '\u{10ffff}',
  'x'.repeat(LONG),
];

/** What a server may have no place for. Consul's router cleans such segments away, so they cannot be told to it. */
const doubtfulKeys: readonly string[] = [
  '.',
  '..',
  '../a',
  'a/../b',
  './a',
  'a//b',
  '/',
  '/a',
  'a\nb',
  'a\tb',
  '\u007f',
  'x'.repeat(VERY_LONG),
];

const badKeys: Readonly<Record<string, string>> = {
  empty: '',
  'with NUL': 'a\0b',
  'with a lone high surrogate': 'a\ud800b',
  'with a lone low surrogate': 'a\udc00',
};

function isRefused(error: unknown): boolean {
  return isSyncError(error, 'invalid-key') && error.outcome === 'refused';
}

export const keyRules: readonly Rule[] = [
  {
    name: 'a key comes back the same, whatever it is made of',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      for (const [i, name] of goodKeys.entries()) {
        const key = bench.key(name);
        await bench.put(client, key, String(i), i % 2 === 0 ? session : undefined);
      }
      for (const [i, name] of goodKeys.entries()) {
        const record = await bench.get(client, bench.key(name));
        assert.equal(record?.key, bench.key(name));
        assert.equal(text(record), String(i), `the value of ${JSON.stringify(name)}`);
      }
      const { records } = await bench.query(client, { prefix: bench.prefix });
      const shown = records.map(({ key }) => key).sort();
      assert.deepEqual(shown, goodKeys.map((name) => bench.key(name)).sort());
    },
  },
  {
    name: 'a key that not every store can hold comes back the same, or is refused as invalid-key',
    async check(bench) {
      const client = await bench.client();
      const held: string[] = [];
      for (const name of doubtfulKeys) {
        const key = bench.key(name);
        try {
          await bench.put(client, key, name);
        } catch (error) {
          assert.ok(isSyncError(error, 'invalid-key'), `${JSON.stringify(name)} gave ${error}`);
          continue;
        }
        held.push(key);
        assert.equal(text(await bench.get(client, key)), name);
      }
      const { records } = await bench.query(client, { prefix: bench.prefix });
      assert.deepEqual(records.map(({ key }) => key).sort(), held.sort());
    },
  },
  {
    name: 'a lock can be taken and waited for under any such key',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const session = await bench.session(client);
      for (const name of goodKeys) {
        const path = client.lockPath(bench.key(name));
        bench.alsoClear(path);
        const queue = client.traits.contention === 'queue';
        const key = queue ? path + session : path;
        await bench.apply(client, {
          when: [{ key, is: 'absent' }],
          then: [{ put: key, value: bytes(''), session }],
        });
        const scope = queue ? { prefix: path } : { key: path };
        const { records, at } = await bench.query(other, scope);
        assert.equal(records[0]?.session, session, JSON.stringify(name));
        await bench.apply(client, { when: [{ key, session }], then: [{ remove: key }] });
        await bench.follow(other, scope, at, (shown) => shown.length === 0);
      }
    },
  },
  ...Object.entries(badKeys).map(
    ([what, key]): Rule => ({
      name: `a key ${what} is refused as invalid-key, wherever it stands`,
      async check(bench) {
        const client = await bench.client();
        assert.throws(() => client.lockPath(key), isRefused);
        const value = bytes('');
        const session = await bench.session(client);
        const commits: Commit[] = [
          { when: [{ key, is: 'absent' }], then: [] },
          { when: [{ key, revision: 1n }], then: [] },
          { when: [], then: [{ put: key, value }] },
          {
            when: [],
            then: [
              { put: bench.key('a'), value },
              { put: key, value, session },
            ],
          },
          { when: [], then: [{ put: bench.key('a'), value }, { remove: key }] },
          { when: [], then: [{ put: bench.key('a'), value }], read: { key } },
        ];
        for (const commit of commits) {
          await assert.rejects(client.commit(commit, bench.signal), isRefused);
        }
        const scope: Scope = { key };
        await assert.rejects(bench.query(client, scope), isRefused);
        assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), []);
      },
    }),
  ),
];
