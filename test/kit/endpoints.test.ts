import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type Connection, type Dialler, Endpoints } from '../../src/backends/kit/endpoints.ts';

// When `monotonic` was taken, there were no fake timers: here it is a clock of the test's own.
const time = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../src/async/platform.ts', async (original) => ({
  ...(await original<object>()),
  monotonic: () => time.now,
}));

class Way implements Connection {
  readonly address: string;
  heardAt = Number.NEGATIVE_INFINITY;
  readonly told: string[] = [];

  constructor(address: string) {
    this.address = address;
  }

  retire(): void {
    this.told.push('retired');
  }

  sever(): void {
    this.told.push('severed');
  }
}

class Servers implements Dialler<Way> {
  readonly size: number;
  readonly dialled: Way[] = [];
  readonly avoided: (Way | undefined)[] = [];
  problem: Error | undefined;

  constructor(size: number) {
    this.size = size;
  }

  dial(avoid?: Way): Way {
    this.avoided.push(avoid);
    if (this.problem !== undefined) throw this.problem;
    const way = new Way(`${this.dialled.length}`);
    this.dialled.push(way);
    return way;
  }
}

beforeEach(() => {
  time.now = 1_000_000;
});

describe('endpoints', () => {
  test('dial once for all who ask, and again when a dial has failed', async () => {
    const servers = new Servers(1);
    const endpoints = new Endpoints(servers);
    servers.problem = new Error('no luck');
    await expect(endpoints.connection()).rejects.toThrow('no luck');
    servers.problem = undefined;
    const [one, same] = await Promise.all([endpoints.connection(), endpoints.connection()]);
    expect(one).toBe(same);
    expect(endpoints.live).toBe(one);
    expect(servers.dialled).toHaveLength(1);
  });

  test('leave what failed for another one, once, however many say so', async () => {
    const servers = new Servers(2);
    const endpoints = new Endpoints(servers);
    const first = await endpoints.connection();
    first.heardAt = time.now;
    for (let n = 0; n < 3; n++) endpoints.failed(first);
    expect(first.told).toEqual(['retired']);
    expect(endpoints.isReplaced(first)).toBe(true);
    const second = await endpoints.connection();
    endpoints.failed(first);
    expect(endpoints.live).toBe(second);
    expect(servers.avoided).toEqual([undefined, first]);
  });

  test('leave a single server, too: its name may have another address by now', async () => {
    const servers = new Servers(1);
    const endpoints = new Endpoints(servers);
    const first = await endpoints.connection();
    first.heardAt = time.now;
    endpoints.failed(first);
    expect(await endpoints.connection()).not.toBe(first);
  });

  test('leave what has fallen silent, if nothing was heard since, and at once', async () => {
    const servers = new Servers(1);
    const endpoints = new Endpoints(servers);
    const first = await endpoints.connection();
    first.heardAt = 10;
    expect(endpoints.silent(first, 9)).toBe(false);
    expect(endpoints.silent(first, 10)).toBe(false);
    expect(endpoints.silent(first, 11)).toBe(true);
    expect(endpoints.silent(first, 11)).toBe(false);
    expect(first.told).toEqual(['retired']);
  });

  test.each([1, 3])(
    'dial %i servers that refuse connections in rounds, with pauses up to a second',
    async (size) => {
      const servers = new Servers(size);
      const endpoints = new Endpoints(servers);
      const dialsIn = async (ms: number): Promise<number> => {
        const before = servers.dialled.length;
        for (const end = time.now + ms; time.now < end; time.now += 1)
          endpoints.failed(await endpoints.connection());
        return servers.dialled.length - before;
      };
      // 100, 200, 400, 800 ms.
      expect(await dialsIn(1_500)).toBeLessThanOrEqual(6 * size);
      await dialsIn(1_000);
      expect(await dialsIn(10_000)).toBeLessThanOrEqual(11 * size);
      expect(await dialsIn(10_000)).toBeGreaterThanOrEqual(9 * size);

      // One that was heard begins anew, with all the others.
      const heard = await endpoints.connection();
      heard.heardAt = time.now;
      endpoints.failed(heard);
      const before = servers.dialled.length;
      for (let n = 0; n < 10; n++) endpoints.failed(await endpoints.connection());
      expect(servers.dialled.length - before).toBe(size === 1 ? 1 : size - 1);
    },
  );

  test('end with what is under way, also with what is still being dialled', async () => {
    const endpoints = new Endpoints(new Servers(1));
    const live = await endpoints.connection();
    endpoints.close();
    expect(live.told).toEqual(['severed']);
    const late = new Endpoints(new Servers(1));
    const dialled = late.connection();
    late.close();
    expect((await dialled).told).toEqual(['severed']);
  });
});
