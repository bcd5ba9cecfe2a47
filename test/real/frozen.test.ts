import { expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { Managers, uniqueKey } from '../scenarios/world.ts';
import { Holder } from './holder.ts';
import { median } from './median.ts';
import { addressOf, PATIENT } from './site.ts';
import { connectTo, stores } from './stores.ts';

const TTL = 2_000;
const LOCKS = 25;
const ROUNDS = 4;

test.concurrent.each(stores)(
  'FAULTS 9: a holder on %s stopped past its expiry says no at its first look, and its stale writes are refused',
  async (store) => {
    const address = addressOf(store);
    const backend = () => connectTo(store, address);
    await using managers = new Managers({ name: store, ttl: TTL, lockDelay: 0, backend });
    const stem = uniqueKey('frozen');
    const keys = Array.from({ length: LOCKS }, (_, number) => `${stem}/${number}`);
    await using holder = new Holder({ store, address, keys, ttl: TTL });
    const delays: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { tokens } = await holder.ask({ ask: 'hold' });
      holder.stop();
      // Somebody else holds: the server has given up the stopped one.
      const sync = managers.make({ session: PATIENT });
      const rivals = await Promise.all(keys.map((key) => sync.acquire(key)));
      for (const [number, rival] of rivals.entries()) {
        expect(rival.token).toBeGreaterThan(BigInt(tokens[number] ?? 0));
      }
      const answer = holder.ask({ ask: 'look' });
      holder.wake();
      const { abortedAfter, ...belief } = await answer;
      expect(belief).toEqual({ held: 0, accepted: 0, revived: 0 });
      delays.push(abortedAfter);
      expect(rivals.filter((rival) => rival.held)).toHaveLength(LOCKS);
      await sync.stop();
    }
    expect(await holder.leave()).toEqual([0, null]);
    // 10 ms, and what a busy machine adds.
    expect(Math.max(...delays)).toBeLessThan(10 + busy());
    const figures = `aborted after ${median(delays).toFixed(1)} ms, at most ${Math.max(...delays).toFixed(1)} ms`;
    console.info(`FAULTS 9 ${store}: 0 of ${LOCKS * ROUNDS} held at the first look; ${figures}`);
  },
);
