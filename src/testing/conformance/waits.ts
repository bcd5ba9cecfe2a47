import assert from 'node:assert/strict';
import type { Backend } from '../../contract/backend.ts';
import { type Bench, text } from './bench.ts';
import type { Rule } from './rule.ts';
import { awaitedLater, quiet, turn, within } from './timing.ts';

/** Milliseconds. */
const SHORT_WAIT = 300;
const UNDER_WAY = 50;
const QUIET = 1000;
/** A server may wake a few times for nothing, or split a long wait; this often a second is a busy loop. */
const MOST_WAKES_IN_QUIET = 5;

type Call = (bench: Bench, client: Backend, signal: AbortSignal, session: string) => Promise<unknown>;

const calls: Readonly<Record<string, Call>> = {
  openSession: (bench, client, signal) =>
    client.openSession({ name: 'aborted', ttl: bench.subject.sessionTtl, lockDelay: 0 }, signal),
  renewSession: (_, client, signal, session) => client.renewSession(session, signal),
  closeSession: (_, client, signal, session) => client.closeSession(session, signal),
  query: (bench, client, signal) => client.query({ key: bench.key('a') }, { signal }),
  commit: (bench, client, signal) => client.commit({ when: [], then: [{ remove: bench.key('a') }] }, signal),
};

export const waitRules: readonly Rule[] = [
  {
    name: 'a query without a cursor answers at once, also for what is not there',
    async check(bench) {
      const client = await bench.client();
      for (const scope of [{ key: bench.key('a') }, { prefix: bench.prefix }]) {
        const answer = client.query(scope, { wait: 3 * bench.patience, signal: bench.signal });
        assert.deepEqual((await within(bench.patience, 'the query', answer)).records, []);
      }
    },
  },
  {
    name: 'a blocked query ends by its `wait` with what is there',
    async check(bench) {
      const client = await bench.client();
      await bench.put(client, bench.key('a'), 'here');
      for (const scope of [{ key: bench.key('a') }, { prefix: bench.prefix }]) {
        let { at } = await bench.query(client, scope);
        for (let i = 0; i < 2; i++) {
          const blocked = client.query(scope, { since: at, wait: SHORT_WAIT, signal: bench.signal });
          const result = await within(SHORT_WAIT + bench.patience / 2, '`wait`', blocked);
          assert.equal(text(result.records[0]), 'here');
          at = result.at;
        }
      }
    },
  },
  {
    name: 'a blocked query is no busy loop while nothing happens',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      await bench.put(client, bench.key('a'));
      const stop = new AbortController();
      let wakes = 0;
      const follow = async (name: string) => {
        const scope = { key: bench.key(name) };
        let { at } = await bench.query(client, scope);
        while (!stop.signal.aborted) {
          ({ at } = await bench.block(client, scope, at, stop.signal));
          wakes++;
          await turn();
        }
      };
      const loops = Promise.allSettled([follow('a'), follow('nothing')]);
      await quiet(QUIET);
      stop.abort();
      await within(bench.patience, 'the loops', loops);
      assert.ok(wakes <= 2 * MOST_WAKES_IN_QUIET, `woken ${wakes} times in ${QUIET} ms of quiet`);
    },
  },
  {
    name: "a call whose signal is aborted already rejects with the signal's reason",
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      await bench.put(client, bench.key('a'), 'stays');
      for (const [name, call] of Object.entries(calls)) {
        const reason = { why: name };
        const rejected = call(bench, client, AbortSignal.abort(reason), session);
        await expectReason(bench, rejected, reason);
      }
      assert.equal(text(await bench.get(client, bench.key('a'))), 'stays');
      assert.equal(await client.renewSession(session, bench.signal), 'renewed');
    },
  },
  {
    name: "an aborted blocked query rejects at once with its signal's reason",
    async check(bench) {
      const client = await bench.client();
      for (const scope of [{ key: bench.key('a') }, { prefix: bench.prefix }]) {
        for (const delay of [0, UNDER_WAY]) {
          const { at } = await bench.query(client, scope);
          const abort = new AbortController();
          const blocked = awaitedLater(bench.blockOn(client, scope, at, abort.signal));
          if (delay > 0) await quiet(delay);
          const reason = { why: 'given up' };
          abort.abort(reason);
          await expectReason(bench, blocked, reason);
        }
      }
    },
  },
  {
    name: 'an aborted query leaves the others that wait for the same alone',
    async check(bench) {
      const [client, actor] = [await bench.client(), await bench.client()];
      const key = bench.key('a');
      const { at } = await bench.query(client, { key });
      const abort = new AbortController();
      const leaving = bench.blockOn(client, { key }, at, abort.signal);
      const staying = bench.follow(client, { key }, at, (records) => text(records[0]) === 'new');
      const joining = bench.follow(client, { prefix: key }, at, (records) => text(records[0]) === 'new');
      for (const each of [leaving, staying, joining]) awaitedLater(each);
      await quiet(UNDER_WAY);
      abort.abort(new Error('given up'));
      await assert.rejects(leaving, { message: 'given up' });
      await quiet(UNDER_WAY);
      await bench.put(actor, key, 'new');
      await staying;
      await joining;
    },
  },
];

async function expectReason(bench: Bench, promise: Promise<unknown>, reason: unknown): Promise<void> {
  const settled = promise.then(
    () => assert.fail('an aborted call must reject'),
    (error: unknown) => assert.equal(error, reason, 'the reason itself'),
  );
  await within(bench.patience / 2, 'the rejection', settled);
}
