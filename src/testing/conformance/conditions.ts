import assert from 'node:assert/strict';
import type { Backend, Condition } from '../../contract/backend.ts';
import { type Bench, bytes } from './bench.ts';
import type { Rule } from './rule.ts';

/** Whether a commit with this condition is applied, seen both in its result and in what it wrote elsewhere. */
async function holds(bench: Bench, client: Backend, condition: Condition): Promise<boolean> {
  const witness = bench.key('witness');
  await bench.remove(client, witness);
  const result = await bench.commit(client, {
    when: [condition],
    then: [{ put: witness, value: bytes('x') }],
  });
  const written = (await bench.get(client, witness)) !== undefined;
  assert.equal(written, result.ok, 'a commit is applied exactly when it says so');
  if (!result.ok) assert.equal(result.why, 'conflict');
  return result.ok;
}

async function expectHolds(
  bench: Bench,
  client: Backend,
  expected: boolean,
  about: string,
  condition: Condition,
): Promise<void> {
  assert.equal(await holds(bench, client, condition), expected, about);
}

export const conditionRules: readonly Rule[] = [
  {
    name: '`absent` holds for a key without a record only',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      await bench.put(client, bench.key('plain'));
      await bench.put(client, bench.key('owned'), '', session);
      const expect = (name: string, expected: boolean) =>
        expectHolds(bench, client, expected, name, { key: bench.key(name), is: 'absent' });
      await expect('nothing', true);
      await expect('plain', false);
      await expect('owned', false);
      await bench.remove(client, bench.key('plain'));
      await expect('plain', true);
    },
  },
  {
    name: '`unowned` holds for a key without a record or with one that no session owns',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      await bench.put(client, bench.key('plain'));
      await bench.put(client, bench.key('owned'), '', session);
      const expect = (name: string, expected: boolean) =>
        expectHolds(bench, client, expected, name, { key: bench.key(name), is: 'unowned' });
      await expect('nothing', true);
      await expect('plain', true);
      await expect('owned', false);
    },
  },
  {
    name: '`unowned` with an owned put takes a free key once, and again after its removal',
    async check(bench) {
      const client = await bench.client();
      const [one, two] = [await bench.session(client), await bench.session(client)];
      const key = bench.key('lock');
      const take = (session: string) =>
        bench.commit(client, {
          when: [{ key, is: 'unowned' }],
          then: [{ put: key, value: bytes(session), session }],
        });
      assert.equal((await take(one)).ok, true);
      const refused = await take(two);
      assert.equal(refused.ok || refused.why, 'conflict');
      assert.equal((await bench.get(client, key))?.session, one);
      await bench.remove(client, key);
      assert.equal((await take(two)).ok, true);
    },
  },
  {
    name: 'a revision holds until the record is changed, removed or made anew',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const expect = async (revision: bigint, expected: boolean, about: string) =>
        expectHolds(bench, client, expected, about, { key, revision });
      const first = await bench.put(client, key, '1');
      await expect(first, true, 'untouched');
      // Another value: Consul takes the same one for no change.
      const second = await bench.put(client, key, '2');
      await expect(first, false, 'overwritten');
      await expect(second, true, 'the newer revision');
      await bench.remove(client, key);
      await expect(second, false, 'removed');
      await bench.put(client, key, '1');
      await expect(second, false, 'made anew');
    },
  },
  {
    name: 'a session holds while it owns the record',
    async check(bench) {
      const client = await bench.client();
      const [owner, other] = [await bench.session(client), await bench.session(client)];
      const key = bench.key('a');
      await bench.put(client, bench.key('plain'));
      await bench.put(client, key, '', owner);
      const expect = (name: string, session: string, expected: boolean) =>
        expectHolds(bench, client, expected, name, { key: bench.key(name), session });
      await expect('a', owner, true);
      await expect('a', other, false);
      await expect('plain', owner, false);
      await expect('nothing', owner, false);
      await bench.remove(client, key);
      await expect('a', owner, false);
      await bench.put(client, key, '', other);
      await expect('a', owner, false);
    },
  },
  {
    name: 'two conditions on one key must both hold',
    async check(bench) {
      const client = await bench.client();
      const [owner, other] = [await bench.session(client), await bench.session(client)];
      const key = bench.key('a');
      const revision = await bench.put(client, key, '', owner);
      const commit = async (session: string, at: bigint) => {
        const { ok } = await bench.commit(client, {
          when: [
            { key, session },
            { key, revision: at },
          ],
          then: [{ put: bench.key('b'), value: bytes('x') }],
        });
        return ok;
      };
      assert.equal(await commit(owner, revision), true);
      assert.equal(await commit(other, revision), false);
      assert.equal(await commit(owner, revision + 1n), false);
    },
  },
];
