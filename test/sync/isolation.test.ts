import { SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { map } from 'rxjs/operators';
import { expect, test, vi } from 'vitest';
import { stateOf, until } from '../scenarios/world.ts';

function setUp() {
  const store = new MemoryStore();
  const sync = new SyncManager({ name: 'svc', backend: memory({ store }), session: { ttl: 1_000 } });
  return { store, sync };
}

test('a subscriber that throws, rejects or never settles harms nobody, and is reported', async () => {
  const { sync } = setUp();
  const lock = sync.lock('k');
  const failures: unknown[] = [];
  sync.events$.subscribe((event) => {
    if (event.type === 'listener-failed') failures.push(event.error);
  });
  const [thrown, rejected, piped] = [new Error('thrown'), new Error('rejected'), new Error('piped')];
  lock.state$.subscribe(() => {
    throw thrown;
  });
  lock.state$.subscribe({ next: () => Promise.reject(rejected) });
  lock.state$.pipe(map(({ name }) => name)).subscribe(() => {
    throw piped;
  });
  lock.state$.subscribe(() => new Promise(() => {}));
  const seen: string[] = [];
  lock.state$.subscribe(({ name }) => seen.push(name));
  const grant = await lock.lock();
  expect(seen).toEqual(['idle', 'seeking', 'held']);
  await until(() => [thrown, rejected, piped].every((error) => failures.includes(error)));
  expect(grant.held).toBe(true);
  await sync.stop();
});

test('without anybody to tell, a failing subscriber becomes a process warning', async () => {
  const { sync } = setUp();
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  sync.lock('k').state$.subscribe(() => {
    throw new Error('nobody listens');
  });
  expect(warn).toHaveBeenCalledWith(
    expect.objectContaining({ message: 'nobody listens' }),
    'SyncListenerWarning',
  );
  warn.mockRestore();
  await sync.stop();
});

test('a listener may call right back, and finds the engine in the state it was told of', async () => {
  const { store, sync } = setUp();
  const lock = sync.lock('k');
  const seen: [string, boolean][] = [];
  lock.state$.subscribe(({ name }) => {
    seen.push([name, lock.held]);
    if (name === 'held') lock.release();
  });
  await lock.lock();
  await stateOf(lock, 'idle');
  expect(seen).toEqual([
    ['idle', false],
    ['seeking', false],
    ['held', true],
    ['releasing', false],
    ['idle', false],
  ]);
  expect(store.records()).toEqual([]);
  await sync.stop();
});

test('release from within lost$ ends the claim', async () => {
  const { store, sync } = setUp();
  const lock = sync.lock('k');
  await lock.lock();
  lock.lost$.subscribe(() => lock.release());
  for (const { id } of store.sessions()) store.destroySession(id);
  await stateOf(lock, 'lost');
  await stateOf(lock, 'idle');
  expect(store.records()).toEqual([]);
  await sync.stop();
});

test('metadata that throws, or is no JSON, is told to who asks, and nothing is lost', async () => {
  const { store, sync } = setUp();
  const bad = expect.objectContaining({
    code: 'invalid-option',
    message: expect.stringContaining('metadata'),
  });
  let works = false;
  const metadata = () => {
    if (!works) throw new Error('no metadata today');
    return { ok: true };
  };
  expect(() => sync.lock('k', { metadata })).toThrow(bad);
  await expect(sync.acquire('k', { metadata })).rejects.toThrow(bad);
  await expect(sync.acquire('k', { metadata: (() => undefined) as never })).rejects.toThrow(bad);
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  await expect(sync.acquire('k', { metadata: loop as never })).rejects.toThrow(bad);
  works = true;
  const grant = await sync.acquire('k', { metadata });
  expect(Buffer.from(store.records()[0]?.value ?? []).toString()).toBe('{"ok":true}');
  await grant.release();
  await sync.stop();
});

test('who holds is written into the record', async () => {
  const { store, sync } = setUp();
  const grant = await sync.acquire('k');
  const shown = JSON.parse(Buffer.from(store.records()[0]?.value ?? []).toString()) as Record<
    string,
    unknown
  >;
  expect(shown).toEqual({
    service: 'svc',
    host: expect.any(String),
    pid: process.pid,
    since: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
  await grant.release();
  await sync.stop();
});
