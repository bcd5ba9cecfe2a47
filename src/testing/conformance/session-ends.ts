import assert from 'node:assert/strict';
import { monotonic } from '../../async/platform.ts';
import { everyWay, type Round, stops } from './at-once.ts';
import { bytes } from './bench.ts';
import type { Rule } from './rule.ts';
import { expectGone } from './sessions.ts';
import { quiet } from './timing.ts';

/** How much of its patience a case gives a server to end a session late, the first time and the next. */
const SLACKS = [0.05, 0.2, 0.5];

/** When a renewal is sent, and when somebody looks, as shares of a TTL: the old time is over then, and the new one is not. */
const RENEWED_AT = 0.6;
const LOOKED_AT = 1.2;
/** How often a machine may be too busy to do that in time. */
const TRIES = 3;

/** The end of a session, and what goes on at the same time. */
export const sessionEndRules: readonly Rule[] = [
  {
    name: 'a put and the close of its session at once leave nothing that is owned',
    async check(bench) {
      const other = await bench.client();
      const put = async (session: string, name: string, client = other) => {
        const key = bench.key(name);
        const result = await bench.commit(client, { then: [{ put: key, value: bytes(''), session }] });
        assert.ok(result.ok || result.why === 'session-gone', JSON.stringify(result.ok || result.why));
      };
      const putAndClose: Round = async (client, atOnce, name) => {
        const session = await bench.session(other);
        await atOnce(
          () => put(session, name, client),
          () => other.closeSession(session, bench.signal),
        );
        assert.equal(await bench.get(other, bench.key(name)), undefined, 'owned by nobody');
      };
      const closeAndPut: Round = async (client, atOnce, name) => {
        const session = await bench.session(other);
        await atOnce(
          () => client.closeSession(session, bench.signal),
          () => put(session, name),
        );
        assert.equal(await bench.get(other, bench.key(name)), undefined, 'owned by nobody');
      };
      await everyWay(bench, putAndClose);
      await stops(bench, closeAndPut);
    },
  },
  {
    name: 'a session that is past its time is gone though nobody has looked, and a renewal does not revive it',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      // One after the other, since whoever renews may clear away all that are past their time.
      for (const slack of SLACKS) {
        const { id, ttl } = await bench.openSession(client, { ttl: bench.subject.sessionTtl });
        const key = bench.key(id);
        await bench.put(client, key, '', id);
        await quiet(ttl * bench.subject.expiryFactor + slack * bench.patience);
        if ((await client.renewSession(id, bench.signal)) === 'renewed') continue;
        await expectGone(bench, id);
        const { records, at } = await bench.query(client, { key });
        if (records.length > 0) await bench.follow(client, { key }, at, (shown) => shown.length === 0);
        return;
      }
      assert.fail('renewed long after its time');
    },
  },
  {
    name: 'a read hides no record while a renewal of its session may still come through',
    slow: true,
    async check(bench) {
      const other = await bench.client();
      const round: Round = async (client, atOnce, name) => {
        for (let attempt = 0; attempt < TRIES; attempt++) {
          const began = monotonic();
          const { id, ttl } = await bench.openSession(other, { ttl: bench.subject.sessionTtl });
          const key = bench.key(`${name}/${attempt}`);
          await bench.put(other, key, '', id);
          await quiet(began + RENEWED_AT * ttl - monotonic());
          const renewed = monotonic();
          const [answer, shown] = await atOnce(
            () => client.renewSession(id, bench.signal),
            async () => {
              await quiet(began + LOOKED_AT * ttl - monotonic());
              return { record: await bench.get(other, key), lived: monotonic() - renewed };
            },
          );
          await other.closeSession(id, bench.signal);
          // Later it may have ended once more, and was seen so rightly.
          if (shown.lived >= ttl) continue;
          assert.ok(answer === 'gone' || shown.record !== undefined, 'hidden, and then renewed');
          return;
        }
      };
      await stops(bench, round, 2 * bench.subject.sessionTtl);
    },
  },
];
