import assert from 'node:assert/strict';
import { monotonic } from '../../async/platform.ts';
import type { Backend } from '../../contract/backend.ts';
import { type Bench, bytes } from './bench.ts';
import type { Rule } from './rule.ts';
import { quiet } from './timing.ts';

export const lockDelayRules: readonly Rule[] = [
  {
    name: 'the key of a session that was closed while owning it is delayed, and can be taken afterwards',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      const lockDelay = delayOf(bench);
      const session = await bench.session(client, { lockDelay });
      await bench.put(client, bench.key('a'), '', session);
      const ended = monotonic();
      await client.closeSession(session, bench.signal);
      await expectDelay(bench, client, ended + lockDelay);
    },
  },
  {
    name: 'the key of a session that expired while owning it is delayed, and can be taken afterwards',
    slow: true,
    async check(bench) {
      const client = await bench.client();
      const lockDelay = delayOf(bench);
      const key = bench.key('a');
      const session = await bench.session(client, { ttl: bench.subject.sessionTtl, lockDelay });
      const sent = monotonic();
      await bench.put(client, key, '', session);
      const { at } = await bench.query(client, { key });
      await bench.follow(client, { key }, at, (records) => records.length === 0, bench.expiry);
      await expectDelay(bench, client, sent + lockDelay);
    },
  },
  {
    name: 'releasing a key before its session is closed avoids the delay',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client, { lockDelay: client.traits.maxLockDelay });
      await bench.put(client, bench.key('a'), '', session);
      await bench.remove(client, bench.key('a'));
      await client.closeSession(session, bench.signal);
      assert.equal((await take(bench, client)).ok, true);
    },
  },
  {
    name: 'a session with a lock-delay of 0 leaves no delay',
    async check(bench) {
      const client = await bench.client();
      const session = await bench.session(client, { lockDelay: 0 });
      await bench.put(client, bench.key('a'), '', session);
      await client.closeSession(session, bench.signal);
      assert.equal((await take(bench, client)).ok, true);
    },
  },
];

export const noLockDelayRules: readonly Rule[] = [
  {
    name: 'a server without lock-delay says so, and gives the key of a closed session away at once',
    async check(bench) {
      const client = await bench.client();
      assert.equal(client.traits.maxLockDelay, 0);
      const session = await bench.session(client, { lockDelay: 10_000 });
      await bench.put(client, bench.key('a'), '', session);
      await client.closeSession(session, bench.signal);
      assert.equal((await take(bench, client)).ok, true);
    },
  },
];

function delayOf(bench: Bench): number {
  return bench.subject.lockDelay ?? assert.fail('the subject has no lock-delay');
}

async function take(bench: Bench, client: Backend) {
  const key = bench.key('a');
  const session = await bench.session(client);
  return bench.commit(client, {
    when: [{ key, is: 'absent' }],
    then: [{ put: key, value: bytes(''), session }],
  });
}

/** Tries as told until the key is given, which must not be before `earliest`, nor much later. */
async function expectDelay(bench: Bench, client: Backend, earliest: number): Promise<void> {
  const latest = monotonic() + delayOf(bench) + bench.patience;
  assert.deepEqual(await bench.list(client, { key: bench.key('a') }), [], 'the record itself is gone');
  let delayed = 0;
  for (;;) {
    const result = await take(bench, client);
    if (result.ok) break;
    assert.ok(result.why === 'delayed', `told as ${result.why}`);
    assert.ok(result.retryAfter > 0 && result.retryAfter <= client.traits.maxLockDelay);
    assert.ok(monotonic() < latest, 'the delay does not end');
    delayed++;
    await quiet(result.retryAfter);
  }
  assert.ok(delayed > 0, 'the key was not delayed');
  assert.ok(monotonic() >= earliest, 'the delay ended early');
}
