import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { type ClientLike, Database, type ListenerLike } from '../../src/backends/postgres/database.ts';
import { Server } from '../../src/backends/postgres/server.ts';
import { until } from '../scenarios/world.ts';

/** An address that leads to one primary after the other, and a pool of connections, each of which stays where it is. */
class Primaries {
  leadsTo = 'old';
  /** Where each was done. */
  readonly watches: string[] = [];
  readonly listeners: string[] = [];
  readonly #idle: ClientLike[] = [];

  connect = async (): Promise<ClientLike> => this.#idle.pop() ?? this.#client(this.leadsTo);

  listen = async (): Promise<ListenerLike> => {
    const at = this.leadsTo;
    this.listeners.push(at);
    const events = new EventEmitter();
    const query = async (text: string): Promise<void> => {
      // It hears itself.
      const [, channel] = /^LISTEN "(holdfast-.*)"/.exec(text) ?? [];
      if (channel !== undefined) setImmediate(() => events.emit('notification', { channel, payload: '' }));
    };
    return Object.assign(events, { connect: async () => {}, query, end: async () => {} }) as never;
  };

  #client(at: string): ClientLike {
    const client: ClientLike = {
      query: async (text, [timeline]) => {
        if (text.includes('hello_1'))
          return { rows: [{ timeline: at, version: 1, readable_from: 1, encoding: 'UTF8' }] };
        if (text.includes('pg_notify')) return { rows: [] };
        if (text.includes('pg_snapshot')) return { rows: [{ at: '1' }] };
        if (text.includes('unwatch_1')) return { rows: [] };
        if (timeline !== at) throw Object.assign(new Error('another timeline'), { code: 'HF001' });
        if (text.includes('watch_1')) this.watches.push(at);
        return { rows: [{ at }] };
      },
      release: (error) => {
        if (error === undefined) this.#idle.push(client);
      },
    };
    return client;
  }
}

test('once another primary has answered, nothing goes to the one before, and what was wanted there is wanted here', async () => {
  const primaries = new Primaries();
  const pool = async () => primaries;
  const way = { work: pool, sessions: pool, end: async () => {} };
  const server = new Server('holdfast', new Database(way, 'holdfast', 5_000), primaries.listen);
  const where = () => server.surely(async () => (await server.call('where', ['x'], ''))[0]?.at);
  try {
    server.notices?.begin();
    await until(() => server.position.epoch !== undefined);
    server.interests?.add('place/', () => {});
    await until(() => server.interests?.add('place/', () => {}).since !== undefined);
    // Several connections at once, all of which stay.
    expect(await Promise.all([where(), where(), where()])).toEqual(['old', 'old', 'old']);

    primaries.leadsTo = 'new';
    const held = await Promise.all([1, 2, 3, 4].map(() => primaries.connect()));
    // The last one is new, and the first to be taken.
    for (const client of held) client.release();
    expect(await where()).toBe('new');
    expect(await Promise.all([where(), where(), where(), where()])).toEqual(['new', 'new', 'new', 'new']);
    await until(() => primaries.listeners.length === 2 && primaries.watches.length === 2);
    expect([primaries.listeners, primaries.watches]).toEqual([
      ['old', 'new'],
      ['old', 'new'],
    ]);
  } finally {
    await server.end();
  }
  // Less than what is written down is renewed after by itself.
}, 20_000);
