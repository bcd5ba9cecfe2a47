import assert from 'node:assert/strict';
import { monotonic } from '../../async/platform.ts';
import { type Bench, bytes, names } from './bench.ts';
import type { Rule } from './rule.ts';
import { quiet } from './timing.ts';

/** Share of a TTL and milliseconds by which clocks and timers may differ when an expiry is timed. */
const CLOCK_DRIFT = 0.01;
const TIMER_STEP = 2;

export const sessionRules: readonly Rule[] = [
  {
    name: 'a record shows the session that owns it',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const session = await bench.session(client);
      await bench.put(client, bench.key('owned'), '', session);
      await bench.put(client, bench.key('plain'));
      assert.equal((await bench.get(other, bench.key('owned')))?.session, session);
      assert.equal((await bench.get(other, bench.key('plain')))?.session, undefined);
    },
  },
  {
    name: 'sessions have ids of their own',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const ids = await Promise.all([client, client, other].map((each) => bench.session(each)));
      assert.equal(new Set(ids).size, ids.length);
      for (const id of ids) assert.notEqual(id, '');
    },
  },
  {
    name: 'a plain put on an owned record shows: its owner is gone or it is foreign',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      const key = bench.key('a');
      const revision = await bench.put(client, key, 'ours', session);
      await bench.put(client, key, 'theirs');
      const record = await bench.get(client, key);
      assert.ok(record !== undefined && record.revision > revision);
      assert.ok(record.session !== session || record.foreign !== undefined);
    },
  },
  {
    name: 'owned records go when their session is closed, others stay',
    async check(bench) {
      const client = await bench.client();
      const [session, other] = [await bench.session(client), await bench.session(client)];
      await bench.put(client, bench.key('a'), '', session);
      await bench.put(client, bench.key('b'), '', session);
      await bench.put(client, bench.key('other'), '', other);
      await bench.put(client, bench.key('plain'));
      await client.closeSession(session, bench.signal);
      assert.deepEqual((await bench.list(client, { prefix: bench.prefix })).sort(), ['other', 'plain']);
    },
  },
  {
    name: 'owned records go when their session expires, but not before its granted TTL',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      const asked = bench.subject.sessionTtl;
      const sent = monotonic();
      const session = await bench.openSession(client, { ttl: asked });
      assert.ok(session.ttl >= asked, `asked for ${asked}, granted ${session.ttl}`);
      await bench.put(client, bench.key('a'), '', session.id);
      await bench.put(client, bench.key('b'), '', session.id);
      await bench.put(client, bench.key('plain'));
      await expectExpiry(bench, sent, session.ttl);
      assert.deepEqual(await bench.list(client, { prefix: bench.prefix }), ['plain']);
    },
  },
  {
    name: 'a renewed session outlives its TTL, and then expires not before a TTL after its last renewal',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      let renewed = monotonic();
      const session = await bench.openSession(client, { ttl: bench.subject.sessionTtl });
      const key = bench.key('a');
      await bench.put(client, key, '', session.id);
      const start = monotonic();
      const longest = session.ttl * bench.subject.expiryFactor;
      while (monotonic() - start < 1.5 * longest) {
        await quiet(session.ttl / 5);
        const sent = monotonic();
        const answer = await client.renewSession(session.id, bench.signal);
        // This process itself may have been held up for longer than the TTL; then the rule says nothing.
        const inTime = monotonic() - renewed < session.ttl;
        if (inTime) assert.equal(answer, 'renewed');
        if (answer === 'gone') return;
        renewed = sent;
      }
      assert.equal((await bench.get(client, key))?.session, session.id);
      await expectExpiry(bench, renewed, session.ttl);
    },
  },
  {
    name: 'after its close a session is gone for renewals and commits',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client);
      assert.equal(await client.renewSession(session, bench.signal), 'renewed');
      await client.closeSession(session, bench.signal);
      await expectGone(bench, session);
    },
  },
  {
    name: 'after its expiry a session is gone for renewals and commits, and a renewal does not revive it',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client, { ttl: bench.subject.sessionTtl });
      const key = bench.key('a');
      await bench.put(client, key, '', session);
      const { at } = await bench.query(client, { key });
      await bench.follow(client, { key }, at, (records) => records.length === 0, bench.expiry);
      await expectGone(bench, session);
    },
  },
  {
    name: 'closing a session twice is no error',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const session = await bench.session(client);
      await client.closeSession(session, bench.signal);
      await client.closeSession(session, bench.signal);
      await other.closeSession(session, bench.signal);
    },
  },
];

/** Sees by blocking queries that record `a` goes, and that it goes in time. */
async function expectExpiry(bench: Bench, lastRenewal: number, ttl: number): Promise<void> {
  const client = await bench.client();
  const key = bench.key('a');
  const { records, at } = await bench.query(client, { key });
  if (records.length > 0) {
    const left = lastRenewal + ttl * bench.subject.expiryFactor + bench.patience - monotonic();
    await bench.follow(client, { key }, at, (shown) => shown.length === 0, left);
  }
  const lived = monotonic() - lastRenewal;
  assert.ok(lived >= ttl * (1 - CLOCK_DRIFT) - TIMER_STEP, `expired after ${lived} of ${ttl} ms`);
}

export async function expectGone(bench: Bench, session: string): Promise<void> {
  for (const client of [await bench.client(), await bench.client()]) {
    assert.equal(await client.renewSession(session, bench.signal), 'gone');
    const key = bench.key('late');
    const result = await bench.commit(client, {
      when: [{ key, is: 'absent' }],
      then: [{ put: key, value: bytes(''), session }],
      read: { key },
    });
    assert.ok(!result.ok && result.why === 'session-gone', 'told as session-gone');
    assert.deepEqual(names((await bench.query(client, { key })).records), []);
  }
}
