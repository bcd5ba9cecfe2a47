import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TcpConditions, TcpProxy } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { fakeTcp, until } from '../consul/support.ts';
import { Client } from './client.ts';
import { refused } from './refused.ts';

/** A server that repeats what it hears, in capitals, and a proxy before it. */
class Bench implements AsyncDisposable {
  readonly served: Socket[] = [];
  heard = '';
  #server!: Awaited<ReturnType<typeof fakeTcp>>;
  proxy!: TcpProxy;

  static async open(serve?: (socket: Socket) => void): Promise<Bench> {
    const bench = new Bench();
    bench.#server = await fakeTcp((socket) => {
      bench.served.push(socket);
      if (serve !== undefined) return serve(socket);
      socket.on('data', (bytes) => {
        bench.heard += bytes.toString();
        socket.write(bytes.toString().toUpperCase());
      });
    });
    bench.proxy = await TcpProxy.open(bench.#server.address);
    return bench;
  }

  client(): Client {
    return new Client(this.proxy.address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

const quiet = (ms = 50): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('passes on bytes and ends, and counts connections', async () => {
  await using bench = await Bench.open();
  const { proxy } = bench;
  using one = bench.client();
  using two = bench.client();
  one.socket.write('one');
  two.socket.write('two');
  await Promise.all([one.hears('ONE'), two.hears('TWO')]);
  expect([proxy.open, proxy.accepted, proxy.mostOpen]).toEqual([2, 2, 2]);
  one.socket.end();
  await until('the end came back', () => one.end === 'end');
  await until('one is gone', () => proxy.open === 1);
  bench.served[1]?.destroy();
  await until('the end of the server came', () => two.end === 'end');
  two.socket.destroy();
  await until('two is gone', () => proxy.open === 0);
  using three = bench.client();
  three.socket.write('three');
  await three.hears('THREE');
  expect([proxy.open, proxy.accepted, proxy.mostOpen]).toEqual([1, 3, 2]);
});

test.each([
  ['requests', ''],
  ['replies', 'held'],
  ['both', ''],
] as const)('a cut of %s holds bytes and ends until it heals', async (cut, heard) => {
  await using bench = await Bench.open();
  using early = bench.client();
  early.socket.write('a');
  await early.hears('A');
  bench.proxy.set({ cut });
  using late = bench.client();
  late.socket.end('held');
  early.socket.resetAndDestroy();
  const passed = () => [bench.heard.slice(1), bench.served[0]?.closed];
  // The clients are gone or done, whatever comes through.
  await until('both clients are gone or done', () => bench.proxy.open === 0);
  await until('what passes came through', () => `${passed()}` === `${[heard, cut === 'replies']}`);
  await quiet();
  expect(passed()).toEqual([heard, cut === 'replies']);
  expect(late.text + late.end).toBe('none');
  bench.proxy.heal();
  await late.hears('HELD');
  await until('the ends came through', () => late.end === 'end' && bench.served[0]?.closed === true);
});

test('a delay is taken in each direction, and can be taken back', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  bench.proxy.set({ delay: 60 });
  const sentAt = performance.now();
  client.socket.write('slow');
  await client.hears('SLOW');
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(120);
  bench.proxy.set({ delay: 60_000 });
  client.socket.write('!');
  await quiet();
  expect(client.text).toBe('SLOW');
  bench.proxy.heal();
  await client.hears('SLOW!');
});

test('a throttle spaces bytes out, and can be taken back', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  bench.proxy.set({ bytesPerSecond: 1_000 });
  const sentAt = performance.now();
  client.socket.write('x'.repeat(200));
  await until('all came', () => client.heard === 200);
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(160);
  bench.proxy.set({ bytesPerSecond: 0.1 });
  client.socket.write('12');
  await quiet();
  bench.proxy.conditions = { ...bench.proxy.conditions, bytesPerSecond: Infinity };
  await until('the rest came', () => client.heard === 202);
});

test.each<Partial<TcpConditions>>([{ cut: 'both' }, { cut: 'replies' }])(
  'a sender is held up by the cut %o, not buffered without bound',
  async (conditions) => {
    const plenty = Buffer.alloc(64 << 20);
    await using bench = await Bench.open((socket) => socket.write(plenty));
    bench.proxy.set(conditions);
    using client = bench.client();
    await until('the server sends', () => bench.served.length === 1);
    await quiet(200);
    expect(bench.served[0]?.writableLength).toBeGreaterThan(0);
    bench.proxy.heal();
    await until('everything came', () => client.heard === plenty.length);
  },
);

test('a slow reader holds the sender up', async () => {
  await using bench = await Bench.open((socket) => socket.write(Buffer.alloc(64 << 20)));
  using client = bench.client();
  client.socket.pause();
  await until('the server sends', () => bench.served.length === 1);
  await quiet(200);
  expect(bench.served[0]?.writableLength).toBeGreaterThan(0);
  client.socket.resume();
  await until('everything came', () => client.heard === 64 << 20);
});

test('silence is for the connections of now, and for good', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  client.socket.write('a');
  await client.hears('A');
  bench.proxy.silence();
  bench.proxy.heal();
  client.socket.write('b');
  bench.served[0]?.end('c');
  await quiet();
  expect([client.text, client.end, bench.heard]).toEqual(['A', 'none', 'a']);
  using later = bench.client();
  later.socket.write('later');
  await later.hears('LATER');
  client.socket.destroy();
  await until('the silent client is gone', () => bench.proxy.open === 1);
});

test('a reset reaches both sides of the connections of now', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  client.socket.write('a');
  await client.hears('A');
  const failed = once(bench.served[0] as Socket, 'error').catch((error: unknown) => [error]);
  bench.proxy.reset();
  await until('the client was reset', () => client.end === 'reset');
  expect(await failed).toEqual([expect.objectContaining({ code: 'ECONNRESET' })]);
  expect(bench.proxy.open).toBe(0);
});

test('a reset in the same moment as an end that is passed on leaves nothing behind', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  client.socket.write('a');
  await client.hears('A');
  bench.proxy.set({ cut: 'requests' });
  client.socket.end();
  await until('the end is held', () => bench.proxy.open === 0);
  bench.proxy.heal();
  bench.proxy.reset();
  await until('the server was told', () => bench.served[0]?.closed === true);
  await bench.proxy[Symbol.asyncDispose]();
});

test.each([
  ['resetAfter', 'reset'],
  ['truncateAfter', 'end'],
] as const)('%s lets so many bytes of the next reply pass, once', async (method, end) => {
  await using bench = await Bench.open();
  using client = bench.client();
  client.socket.write('before');
  await client.hears('BEFORE');
  bench.proxy[method](3);
  client.socket.write('abcdef');
  await until('it ended', () => client.end === end);
  expect(client.text).toBe('BEFOREABC');
  await until('the server was told', () => bench.served[0]?.closed === true);
  client.socket.destroy();
  using later = bench.client();
  later.socket.write('later');
  await later.hears('LATER');

  bench.proxy[method](0);
  later.socket.write('more');
  await until('it ended', () => later.end === end);
  expect(later.text).toBe('LATER');
});

test('refuses new connections, and leaves open ones alone', async () => {
  await using bench = await Bench.open();
  using client = bench.client();
  client.socket.write('a');
  await client.hears('A');
  bench.proxy.refuse = true;
  using refused = bench.client();
  await until('it was reset', () => refused.end === 'reset');
  client.socket.write('b');
  await client.hears('AB');
  expect([bench.proxy.accepted, bench.served.length]).toEqual([1, 1]);
  bench.proxy.refuse = false;
  using later = bench.client();
  later.socket.write('later');
  await later.hears('LATER');
});

test.each(['127.0.0.1:1', 'localhost:1', '[::1]:1', 'no-such-host.invalid:80'])(
  'E12: a server that is not there (%s) resets the client, and nothing else ends',
  async (target) => {
    await using proxy = await TcpProxy.open(target);
    for (let round = 0; round < 2; round++) {
      using client = new Client(proxy.address);
      await until('it was reset', () => client.end === 'reset');
    }
    expect([proxy.accepted, proxy.open]).toEqual([2, 0]);
  },
);

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['localhost', '127.0.0.1'],
  ['[::1]', '::1'],
])('E12: reaches a server at %s', async (host, listening) => {
  const server = createServer((socket) => socket.on('error', () => {}).end('here')).listen(0, listening);
  await once(server, 'listening');
  await using proxy = await TcpProxy.open(`${host}:${(server.address() as AddressInfo).port}`);
  using client = new Client(proxy.address);
  await client.hears('here');
  server.close();
});

test.each([
  ['http://127.0.0.1:8500', 'no URL'],
  ['https://user:secret@127.0.0.1:8500/', 'no URL'],
  ['127.0.0.1:8500/v1', 'no URL'],
  ['127.0.0.1', 'must be "host:port"'],
  ['127.0.0.1:', 'must be "host:port"'],
  [':8500', 'must be "host:port"'],
  ['::1:8500', 'in brackets: "[::1]:8500"'],
  ['[localhost]:8500', 'nothing but an IPv6 address in brackets'],
  ['user@host:80', 'must be "host:port"'],
  ['127.0.0.1:http', 'must be "host:port"'],
  ['127.0.0.1:0', 'port from 1 to 65535'],
  ['127.0.0.1:65536', 'port from 1 to 65535'],
  [8500, 'must be a string'],
  [undefined, 'must be a string'],
])('E12: a target that is none (%s) is refused before it listens', async (target, sentence) => {
  const opened = TcpProxy.open(target as string);
  await expect(opened).rejects.toThrow(refused('target', sentence));
  await expect(opened).rejects.not.toThrow('secret');
});

test('E12: refuses conditions that mean nothing, and names them', async () => {
  await using bench = await Bench.open();
  const bad: [string, object][] = [
    ['delay', { delay: -1 }],
    ['delay', { delay: Infinity }],
    ['delay', { delay: '5' }],
    ['bytesPerSecond', { bytesPerSecond: 0 }],
    ['bytesPerSecond', { bytesPerSecond: Number.NaN }],
    ['cut', { cut: 'all' }],
    ['dely', { dely: 5 }],
  ];
  for (const [name, conditions] of bad) {
    expect(() => bench.proxy.set(conditions)).toThrow(refused(name));
  }
  expect(() => bench.proxy.resetAfter(-1)).toThrow(refused('bytes'));
  expect(() => bench.proxy.truncateAfter(0.5)).toThrow(refused('bytes'));
  expect(bench.proxy.conditions).toEqual({ cut: 'none', delay: 0, bytesPerSecond: Infinity });
});

test('disposal leaves no socket and no timer', async () => {
  const resources = () =>
    process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name)).length;
  const before = resources();
  {
    await using bench = await Bench.open();
    using client = bench.client();
    using cut = bench.client();
    client.socket.write('a');
    await client.hears('A');
    bench.proxy.set({ delay: 60_000 });
    client.socket.write('b');
    cut.socket.write('c');
    await quiet();
    expect(resources()).toBeGreaterThan(before);
    await bench.proxy[Symbol.asyncDispose]();
    await bench.proxy[Symbol.asyncDispose]();
  }
  await until('nothing is left', () => resources() <= before);
});
