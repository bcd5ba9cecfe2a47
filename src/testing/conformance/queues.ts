import assert from 'node:assert/strict';
import type { Backend } from '../../contract/backend.ts';
import { type AtOnce, everyWay, type Round, stops } from './at-once.ts';
import { type Bench, bytes } from './bench.ts';
import type { Rule } from './rule.ts';

/** What contenders do with a queue at the same time: who comes, who goes, and what the others are told of it. */
export const queueRules: readonly Rule[] = [
  {
    name: 'of two clients that enter one queue at once exactly one counts itself alone, and revisions follow the counts',
    async check(bench) {
      const other = await bench.client();
      await everyWay(bench, async (client, atOnce, name) => {
        const queue = queueOf(bench, client, name);
        const entered = await enterBoth(bench, queue, [client, other], atOnce);
        const [first, second] = entered.sort((a, b) => a.count - b.count);
        assert.deepEqual([first?.count, second?.count], [1, 2]);
        assert.ok(
          second && first && second.revision > first.revision,
          'who counted more has the larger revision',
        );
      });
    },
  },
  {
    name: 'once a record was seen in a queue that is counted, none appears that was created before it',
    async check(bench) {
      const other = await bench.client();
      await everyWay(bench, async (client, atOnce, name) => {
        const queue = queueOf(bench, client, name);
        const [, seen] = await atOnce(
          () => enter(bench, client, queue, 'one'),
          async () => {
            await enter(bench, other, queue, 'two');
            return (await bench.query(other, { prefix: queue, oldest: 2 })).records;
          },
        );
        const { records } = await bench.query(other, { prefix: queue, oldest: 2 });
        assert.deepEqual(
          records.slice(0, seen.length).map(({ key }) => key),
          seen.map(({ key }) => key),
        );
      });
    },
  },
  {
    name: 'who enters a queue while its holder leaves counts itself alone or is told',
    async check(bench) {
      const other = await bench.client();
      const leaveAndCome: Round = async (client, atOnce, name) => {
        const queue = queueOf(bench, client, name);
        await enter(bench, client, queue, 'holder');
        await atOnce(
          () => bench.remove(client, `${queue}holder`),
          () => come(bench, other, queue),
        );
      };
      const comeAndLeave: Round = async (client, atOnce, name) => {
        const queue = queueOf(bench, client, `${name}-again`);
        await enter(bench, other, queue, 'holder');
        await atOnce(
          () => come(bench, client, queue),
          () => bench.remove(other, `${queue}holder`),
        );
      };
      await everyWay(bench, leaveAndCome);
      await stops(bench, comeAndLeave);
    },
  },
];

/** Where the contenders for a lock are, if there are any: a store may do something of its own there. */
function queueOf(bench: Bench, client: Backend, name: string): string {
  if (client.traits.contention === 'race') return bench.key(`${name}/`);
  const path = client.lockPath(bench.key(name));
  if (!path.startsWith(bench.prefix)) bench.alsoClear(path);
  return path;
}

interface Entered {
  readonly count: number;
  readonly revision: bigint;
}

function enterBoth(
  bench: Bench,
  queue: string,
  [one, two]: readonly [Backend, Backend],
  atOnce: AtOnce,
): Promise<[Entered, Entered]> {
  return atOnce(
    () => enter(bench, one, queue, 'one'),
    () => enter(bench, two, queue, 'two'),
  );
}

async function enter(bench: Bench, client: Backend, queue: string, name: string): Promise<Entered> {
  const key = queue + name;
  const { revision, count } = await bench.apply(client, {
    when: [{ key, is: 'absent' }],
    then: [{ put: key, value: bytes('') }],
    count: queue,
  });
  return { revision, count: count ?? assert.fail('a count that was asked for') };
}

/** As a lock does: who is not alone looks who is ahead, and waits for it to go. */
async function come(bench: Bench, client: Backend, queue: string): Promise<void> {
  const { revision, count } = await enter(bench, client, queue, 'comer');
  if (count === 1) return;
  const scope = { prefix: queue, youngest: 2, before: revision + 1n };
  const { records, at } = await bench.query(client, scope);
  if (records.length > 1) await bench.follow(client, scope, at, (shown) => shown.length === 1);
}
