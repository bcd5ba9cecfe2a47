import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { isSyncError } from '../../contract/errors.ts';
import { bytes, text } from './bench.ts';
import type { Rule } from './rule.ts';
import { awaitedLater, quiet, within } from './timing.ts';

/** Milliseconds. */
const UNDER_WAY = 50;

const stopped = (error: unknown) => isSyncError(error, 'stopped');

export const endingRules: readonly Rule[] = [
  {
    name: 'a call that has ended leaves no listener on its signal',
    async check(bench) {
      const client = await bench.client();
      const key = bench.key('a');
      const { signal } = new AbortController();
      const ended = (what: string) =>
        assert.deepEqual(getEventListeners(signal, 'abort'), [], `left by ${what}`);
      const { id } = await client.openSession(
        { name: 'listeners', ttl: client.traits.ttl.max, lockDelay: 0 },
        signal,
      );
      ended('openSession');
      await client.renewSession(id, signal);
      ended('renewSession');
      const absent = [{ key, is: 'absent' }] as const;
      const then = [{ put: key, value: bytes('mine'), session: id }];
      const together = [key, bench.key('b'), bench.key('c')].map((put) =>
        client.commit({ when: [{ key: put, is: 'absent' }], then: [{ put, value: bytes('mine') }] }, signal),
      );
      await Promise.all(together);
      ended('commits that were issued together');
      assert.equal((await client.commit({ when: absent, then }, signal)).ok, false);
      ended('a commit that was refused');
      const { at } = await client.query({ key }, { signal });
      ended('query');
      await client.query({ key }, { since: at, wait: UNDER_WAY, signal });
      ended('a query that was blocked');
      await client.closeSession(id, signal);
      ended('closeSession');
    },
  },
  {
    name: 'after disposal every call rejects with `stopped`',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const { signal } = bench;
      const key = bench.key('a');
      const session = await bench.session(client);
      await bench.put(client, key, 'stays', session);
      await client[Symbol.asyncDispose]();
      const calls = [
        () => client.openSession({ name: 'late', ttl: client.traits.ttl.max, lockDelay: 0 }, signal),
        () => client.renewSession(session, signal),
        () => client.closeSession(session, signal),
        () => client.query({ key }, { signal }),
        () => client.query({ prefix: bench.prefix }, { since: '1', signal }),
        () => client.commit({ when: [], then: [{ remove: key }] }, signal),
      ];
      for (const call of calls) {
        await within(bench.patience, 'the rejection', assert.rejects(call, stopped));
      }
      assert.equal(text(await bench.get(other, key)), 'stays', 'disposal ends no session');
    },
  },
  {
    name: 'disposal rejects the queries that are blocked with `stopped`, of this client alone',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      const key = bench.key('a');
      const { at } = await bench.query(client, { key });
      const blocked = [
        bench.blockOn(client, { key }, at),
        bench.blockOn(
          client,
          { prefix: bench.prefix },
          (await bench.query(client, { prefix: bench.prefix })).at,
        ),
      ];
      for (const each of blocked) awaitedLater(each);
      const staying = awaitedLater(bench.follow(other, { key }, at, (records) => text(records[0]) === 'new'));
      await quiet(UNDER_WAY);
      const disposed = client[Symbol.asyncDispose]();
      for (const each of blocked) {
        await within(bench.patience / 2, 'the rejection', assert.rejects(each, stopped));
      }
      await disposed;
      await bench.apply(other, { then: [{ put: key, value: bytes('new') }] });
      await staying;
    },
  },
  {
    name: 'disposal twice is no error',
    async check(bench) {
      const client = await bench.client();
      await client[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  },
];
