import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { consul } from 'holdfast/consul';
import { expect, inject, test } from 'vitest';
import { slowed } from '../busy.ts';
import { fakeHttp } from '../consul/support.ts';
import { Managers, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { TTL } from './site.ts';

const address = inject('consulAddress');

/** What a bad middle makes of the index of a read, given how many it has answered. */
const lies: Record<string, (index: number, answered: number) => number> = {
  'is zero': () => 0,
  'falls with every answer': (index, answered) => Math.max(1, index - 10 * answered),
  'is lower at every other answer': (index, answered) => (answered % 2 === 0 ? index : 1),
  'rises without a change': (index, answered) => index + answered,
};

/** Passes requests on to the real server, and lies about the index of what is read. Counts the reads. */
async function liar(lie: (index: number, answered: number) => number) {
  let reads = 0;
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { method, headers, url = '' } = incoming;
    const isRead = method === 'GET' && url.startsWith('/v1/kv/');
    if (isRead) reads++;
    // A query that would block is answered at once where the index never stands still.
    const path =
      lie === lies['rises without a change'] && isRead ? url.replace(/([?&])index=\d+/, '$1') : url;
    const [host, port] = address.split(':');
    const onward = request({ host, port, path, method, headers }, (answer) => {
      const index = answer.headers['x-consul-index'];
      const told = isRead && index !== undefined ? { 'x-consul-index': lie(Number(index), reads) } : {};
      outgoing.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...told });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  };
  return Object.assign(await fakeHttp(pass), { reads: () => reads });
}

test.concurrent.each(Object.entries(lies))(
  'FAULTS 21: an index of Consul that %s: below 10 requests a second, and each hand-off within 2 s',
  async (kind, lie) => {
    await using middle = await liar(lie);
    const backend = () => consul({ addresses: [address], sessionTtlMin: 1_000 });
    await using managers = new Managers({ name: 'Consul', ttl: 3 * TTL, lockDelay: 0, backend });
    const key = uniqueKey('index');
    const holder = managers.make();
    const waiter = managers.make({
      backend: consul({ addresses: [middle.address], sessionTtlMin: 1_000 }),
    });
    const lock = waiter.lock(key);
    const rates: number[] = [];
    const handOffs: number[] = [];
    for (let round = 0; round < 3; round++) {
      const grant = await holder.acquire(key);
      await lock.tryLock();
      await stateOf(lock, 'waiting');
      const from = { at: performance.now(), reads: middle.reads() };
      await until(() => performance.now() - from.at >= 3_000);
      rates.push((middle.reads() - from.reads) / 3);
      const releasedAt = performance.now();
      await grant.release();
      await stateOf(lock, 'held');
      handOffs.push(performance.now() - releasedAt);
      expect(lock.held).toBe(true);
      await lock.release();
    }
    expect(Math.max(...rates)).toBeGreaterThan(0);
    expect(Math.max(...rates)).toBeLessThan(10);
    expect(Math.max(...handOffs)).toBeLessThan(slowed(2_000));
    console.info(
      `FAULTS 21 Consul, index ${kind}: at most ${Math.max(...rates).toFixed(1)} requests a second, ` +
        `hand-off within ${Math.round(Math.max(...handOffs))} ms`,
    );
  },
);
