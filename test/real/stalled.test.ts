import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TcpProxy } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { live, Managers, uniqueKey } from '../scenarios/world.ts';
import { temporaryFolder } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { GarbageReport } from './garbage-fixture.ts';
import { Holder } from './holder.ts';
import { median } from './median.ts';
import { addressOf, PATIENT } from './site.ts';
import { connectTo, stores } from './stores.ts';

const TTL = 2_000;
const LOCKS = 25;

test.concurrent.each(stores)(
  'FAULTS 10: a holder on %s whose event loop was blocked says no at its first look, and a late renewal resurrects nothing',
  async (store) => {
    const address = addressOf(store);
    const backend = () => connectTo(store, address);
    await using managers = new Managers({ name: store, ttl: TTL, lockDelay: 0, backend });
    // Slow enough that a renewal can be on its way when the event loop blocks, and its answer come meanwhile.
    await using proxy = await TcpProxy.open(address);
    proxy.set({ delay: 60 });
    const stem = uniqueKey('blocked');
    const keys = Array.from({ length: LOCKS }, (_, number) => `${stem}/${number}`);
    await using holder = new Holder({ store, address: proxy.address, keys, ttl: TTL });
    const folder = temporaryFolder('blocked');
    const delays: number[] = [];
    for (const at of ['asked', 'answered', 'asked', 'answered'] as const) {
      await holder.ask({ ask: 'hold' });
      const gate = join(folder, `${delays.length}`);
      const answer = holder.ask({ ask: 'stall', gate, at });
      const sync = managers.make({ session: PATIENT });
      const rivals = await Promise.all(keys.map((key) => sync.acquire(key)));
      await writeFile(gate, '');
      const { abortedAfter, ...belief } = await answer;
      // An answer in hand, that the session was renewed, comes to nothing.
      const renewal = at === 'answered' ? { renewal: 'renewed' } : {};
      expect(belief).toEqual({ held: 0, accepted: 0, revived: 0, ...renewal });
      delays.push(abortedAfter);
      expect(rivals.filter((rival) => rival.held)).toHaveLength(LOCKS);
      await sync.stop();
    }
    expect(await holder.leave()).toEqual([0, null]);
    // 10 ms, and what a busy machine adds.
    expect(Math.max(...delays)).toBeLessThan(10 + busy());
    const figures = `aborted after ${median(delays).toFixed(1)} ms, at most ${Math.max(...delays).toFixed(1)} ms`;
    console.info(`FAULTS 10 ${store}: 0 of ${LOCKS * delays.length} held at the first look; ${figures}`);
  },
  // Four expiries on Consul, which notices each late.
  120_000,
);

// One after the other, since it is this process that stands still.
test.each(stores)(
  'FAULTS 10: an answer of %s that came while the event loop was blocked counts, though its request ran out of time meanwhile',
  async (store) => {
    const requestTimeout = 1_000;
    await using backend = connectTo(store, addressOf(store), { requestTimeout });
    const key = uniqueKey('answered');
    const ask = () => backend.commit({ when: [], then: [{ put: key, value: new Uint8Array(1) }] }, live);
    await ask();
    const asked = ask();
    // It leaves, and no answer is read yet.
    await new Promise((resolve) => setImmediate(resolve));
    const until = performance.now() + 2 * requestTimeout;
    while (performance.now() < until);
    expect(await asked).toMatchObject({ ok: true });
    await backend.commit({ when: [], then: [{ remove: key }] }, live);
  },
);

const garbage = fileURLToPath(new URL('./garbage-fixture.ts', import.meta.url));

// One after the other, since each keeps more than one processor busy.
test.each(stores)(
  'FAULTS 11: heavy garbage collection in a small heap delays renewals on %s by less than TTL/6',
  async (store) => {
    const ttl = 3_000;
    const args = ['--unhandled-rejections=strict', '--max-old-space-size=64', program(garbage)];
    const settings = { store, address: addressOf(store), key: uniqueKey('garbage'), ttl };
    const { code, stderr, stdout } = await run(process.execPath, [...args, JSON.stringify(settings)], {
      timeout: 50_000,
    });
    expect([code, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout) as GarbageReport;
    const { late, starved, lost, kept, major, paused } = report;
    // Otherwise nothing was shown.
    expect(major).toBeGreaterThan(5);
    expect(paused).toBeGreaterThan(0.1);
    expect([lost, kept]).toEqual([0, true]);
    expect(late).toBeLessThan(ttl / 6 + starved);
    const share = `${Math.round(paused * 100)} % of the time`;
    console.info(
      `FAULTS 11 ${store}: at most ${late.toFixed(1)} ms late; ${major} full collections, ${share}`,
    );
  },
);
