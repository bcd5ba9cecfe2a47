import assert from 'node:assert/strict';
import type { Commit } from '../../contract/backend.ts';
import { everyWay } from './at-once.ts';
import { bytes } from './bench.ts';
import type { Rule } from './rule.ts';

/** Commits one after the other, by different clients and about different keys. */
const TURNS = 30;

/** What is at once comes out as if one had been after the other. */
export const serialRules: readonly Rule[] = [
  {
    name: 'a commit sent after the answer to another has the larger revision, whoever sent it, whatever it is about',
    async check(bench) {
      const clients = await Promise.all([bench.client(), bench.client(), bench.client()]);
      let last = 0n;
      for (let turn = 0; turn < TURNS; turn++) {
        const client = clients[turn % clients.length] ?? assert.fail();
        const revision = await bench.put(client, bench.key(`${turn % 7}/${turn}`));
        assert.ok(revision > last, `${revision} must be above ${last}`);
        last = revision;
      }
    },
  },
  {
    name: 'of two commits that each write what the other one requires to be absent one is applied at most',
    async check(bench) {
      const other = await bench.client();
      await everyWay(bench, async (client, atOnce, name) => {
        const [left, right] = [bench.key(`${name}/left/a`), bench.key(`${name}/right/a`)];
        const results = await atOnce(
          () => bench.commit(client, writing(left, right)),
          () => bench.commit(other, writing(right, left)),
        );
        const applied = results.flatMap(({ ok }) => (ok ? ['applied'] : []));
        assert.equal(applied.length, 1, 'one of them, and never both');
      });
    },
  },
];

function writing(put: string, absent: string): Partial<Commit> {
  return { when: [{ key: absent, is: 'absent' }], then: [{ put, value: bytes('') }] };
}
