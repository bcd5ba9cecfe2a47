import assert from 'node:assert/strict';
import { bytes } from './bench.ts';
import type { Rule } from './rule.ts';

const LIVES = 10;

export const revisionRules: readonly Rule[] = [
  {
    name: 'revisions rise strictly over overwriting, removal and making anew',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      let last = 0n;
      const rise = (revision: bigint | undefined) => {
        assert.ok(revision !== undefined && revision > last, `${revision} must be above ${last}`);
        last = revision;
      };
      for (let life = 0; life < LIVES; life++) {
        rise(await bench.put(client, key, 'one'));
        const created = (await bench.get(client, key))?.created;
        assert.equal(created, last, 'made anew, created anew');
        rise(await bench.put(client, key, 'two'));
        await bench.remove(client, key);
      }
    },
  },
  {
    name: 'revisions rise strictly over the owned lives of a key',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      let last = 0n;
      for (let life = 0; life < LIVES; life++) {
        const session = await bench.session(client);
        const { revision } = await bench.apply(client, {
          when: [{ key, is: 'absent' }],
          then: [{ put: key, value: bytes(''), session }],
        });
        assert.ok(revision > last, `${revision} must be above ${last}`);
        assert.equal((await bench.get(client, key))?.created, revision);
        last = revision;
        if (life % 2 === 0) await bench.remove(client, key);
        await client.closeSession(session, bench.signal);
      }
    },
  },
  {
    name: 'revisions rise strictly over the expiry of an owned record',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const dying = await bench.session(client, { ttl: bench.subject.sessionTtl });
      const before = await bench.put(client, key, '', dying);
      const { at } = await bench.query(client, { key });
      await bench.follow(client, { key }, at, (records) => records.length === 0, bench.expiry);
      const after = await bench.put(client, key, '', await bench.session(client));
      assert.ok(after > before, `${after} must be above ${before}`);
      assert.equal((await bench.get(client, key))?.created, after);
    },
  },
  {
    name: 'a commit tells the revision of the records it wrote, and `created` stays when one is overwritten',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const session = await bench.session(client);
      for (const owner of [undefined, session]) {
        await bench.remove(client, key);
        const first = await bench.put(client, key, '1', owner);
        assert.deepEqual(pick(await bench.get(client, key)), { created: first, revision: first });
        const second = await bench.put(client, key, '2', owner);
        assert.deepEqual(pick(await bench.get(client, key)), { created: first, revision: second });
      }
    },
  },
  {
    name: 'reading, renewing and refused commits leave the revision of a record alone',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const session = await bench.session(client);
      const revision = await bench.put(client, key, '', session);
      await bench.query(client, { prefix: bench.prefix });
      await client.renewSession(session, bench.signal);
      await bench.commit(client, {
        when: [{ key, is: 'absent' }],
        then: [{ put: key, value: bytes('x') }],
      });
      await bench.put(client, bench.key('b'));
      assert.equal((await bench.get(client, key))?.revision, revision);
    },
  },
];

function pick(record: { created: bigint; revision: bigint } | undefined) {
  return record && { created: record.created, revision: record.revision };
}
