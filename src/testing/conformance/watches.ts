import assert from 'node:assert/strict';
import type { Backend } from '../../contract/backend.ts';
import { isSyncError, type SyncError } from '../../contract/errors.ts';
import type { Bench } from './bench.ts';
import type { Rule } from './rule.ts';
import { turn, within } from './timing.ts';

/** One watch, and how often it was woken with what. */
function watching(client: Backend, key: string, since: string) {
  const wakes: (SyncError | undefined)[] = [];
  let woken = (): void => {};
  const first = new Promise<void>((resolve) => {
    woken = resolve;
  });
  let [placed, early] = [false, false];
  const cancel = client.watch?.(key, since, (error) => {
    early ||= !placed;
    wakes.push(error);
    woken();
  });
  assert.ok(!early, 'a watch wakes never before it has returned');
  placed = true;
  return { wakes, first, cancel: () => cancel?.() };
}

async function position(bench: Bench, client: Backend, key: string): Promise<string> {
  return (await bench.query(client, { key })).at;
}

/** Of backends that have the optional verb `watch`. */
export const watchRules: Rule[] = [
  {
    name: 'watch: wakes once, for a change by another client and for a removal',
    async check(bench) {
      const [client, other] = [await bench.client(), await bench.client()];
      if (client.watch === undefined) return;
      const key = bench.key('watched');
      await bench.put(other, key, 'one');
      const changed = watching(client, key, await position(bench, client, key));
      await bench.put(other, key, 'two');
      await within(bench.patience, 'a watch must wake for a change', changed.first);
      const removed = watching(client, key, await position(bench, client, key));
      await bench.remove(other, key);
      await within(bench.patience, 'a watch must wake for a removal', removed.first);
      await bench.put(other, key, 'three');
      await turn();
      assert.deepEqual([changed.wakes, removed.wakes], [[undefined], [undefined]]);
    },
  },
  {
    name: 'watch: wakes for what came between the position and the watch',
    async check(bench) {
      const client = await bench.client();
      if (client.watch === undefined) return;
      const key = bench.key('late');
      await bench.put(client, key, 'one');
      const at = await position(bench, client, key);
      await bench.put(client, key, 'two');
      const late = watching(client, key, at);
      await within(bench.patience, 'a watch must not miss what it came too late for', late.first);
    },
  },
  {
    name: 'watch: silent once it was taken back',
    async check(bench) {
      const client = await bench.client();
      if (client.watch === undefined) return;
      const key = bench.key('silent');
      await bench.put(client, key, 'one');
      const at = await position(bench, client, key);
      const taken = watching(client, key, at);
      const kept = watching(client, key, at);
      taken.cancel();
      taken.cancel();
      await bench.put(client, key, 'two');
      await within(bench.patience, 'the other watch must wake', kept.first);
      await turn();
      assert.deepEqual(taken.wakes, []);
    },
  },
  {
    name: 'watch: told `stopped` by disposal',
    async check(bench) {
      const client = await bench.client();
      if (client.watch === undefined) return;
      const key = bench.key('disposed');
      const at = await position(bench, client, key);
      const before = watching(client, key, at);
      await client[Symbol.asyncDispose]();
      const after = watching(client, key, at);
      await within(bench.patience, 'disposal must end a watch', Promise.all([before.first, after.first]));
      for (const [error] of [before.wakes, after.wakes]) assert.ok(isSyncError(error, 'stopped'));
    },
  },
];
