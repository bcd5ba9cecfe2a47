import { diag } from '@opentelemetry/api';
import type { Histogram } from '@opentelemetry/sdk-metrics';
import { SyncManager, type Telemetry } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { openTelemetry } from 'holdfast/opentelemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { openTelemetrySdk } from './telemetry-fixture.ts';

let sdk: ReturnType<typeof openTelemetrySdk>;
let store: MemoryStore;
let telemetry: Telemetry;
const managers: SyncManager[] = [];

beforeEach(() => {
  sdk = openTelemetrySdk();
  store = new MemoryStore();
  const { meterProvider, tracerProvider } = sdk;
  telemetry = openTelemetry({ meterProvider, tracerProvider, group: (key) => key.split('/')[0] });
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((sync) => sync.stop()));
  await sdk.close();
});

function observed(ttl = 10_000): SyncManager {
  const sync = new SyncManager({
    name: 'shop',
    backend: memory({ store }),
    session: { ttl, lockDelay: 0 },
    telemetry,
  });
  managers.push(sync);
  return sync;
}

/** Takes the record away, as an operator does. */
async function steal(sync: SyncManager, key: string): Promise<void> {
  const { isOwner } = await sync.lock(key).lock();
  const lost = new Promise((resolve) => sync.lock(key).lost$.subscribe(resolve));
  store.commit({ when: [], then: [{ remove: isOwner.key }] });
  await lost;
}

const shop = { 'holdfast.service': 'shop', 'holdfast.backend': 'memory' };

test('acquire and hold are spans of the caller’s trace, and the work runs within the hold', async () => {
  const sync = observed();
  let inside: string | undefined;
  let token = 0n;
  await sdk.request(() =>
    sync.withLock('orders/1', async (grant) => {
      token = grant.token;
      await Promise.resolve();
      inside = sdk.activeSpanId();
    }),
  );
  const [request] = sdk.spans('request');
  const [acquire] = sdk.spans('lock acquire');
  const [hold] = sdk.spans('lock hold');
  for (const span of [acquire, hold]) {
    expect(span?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
    expect(span?.spanContext().traceId).toBe(request?.spanContext().traceId);
    expect(span?.status.code).toBe(0);
  }
  const about = { ...shop, 'holdfast.lock.key': 'orders/1', 'holdfast.lock.token': String(token) };
  const call = { 'holdfast.lock.call': 'acquire', 'holdfast.lock.outcome': 'held' };
  expect(acquire?.attributes).toEqual({ ...about, ...call });
  expect(hold?.attributes).toEqual({ ...about, 'holdfast.lock.end': 'released' });
  expect(inside).toBe(hold?.spanContext().spanId);
  expect(sdk.spans()).toHaveLength(3);
});

test('two requests at a time have each their own trace', async () => {
  const sync = observed();
  const one = (id: string) =>
    sdk.request(() => sync.withLock(`orders/${id}`, () => new Promise((resolve) => setTimeout(resolve, 5))));
  await Promise.all([one('1'), one('1'), one('2')]);
  for (const request of sdk.spans('request')) {
    const id = request.spanContext().spanId;
    const children = sdk.spans().filter((span) => span.parentSpanContext?.spanId === id);
    expect(children.map(({ name }) => name).sort()).toEqual(['lock acquire', 'lock hold']);
  }
});

test('what goes wrong is marked in the span and counted by its code', async () => {
  const first = observed();
  const second = observed();
  await using _held = await first.acquire('orders/1');
  expect(await second.tryAcquire('orders/1')).toBeUndefined();
  await expect(second.acquire('orders/1', { timeout: 20 })).rejects.toMatchObject({ code: 'timeout' });
  await expect(second.acquire('orders/1', { signal: AbortSignal.timeout(20) })).rejects.toThrow();
  const outcomes = sdk
    .spans('lock acquire')
    .map(({ attributes, status }) => [
      attributes['holdfast.lock.call'],
      attributes['holdfast.lock.outcome'],
      attributes['error.type'],
      status.code,
    ]);
  expect(outcomes).toEqual([
    ['acquire', 'held', undefined, 0],
    ['tryAcquire', 'occupied', undefined, 0],
    ['acquire', 'failed', 'timeout', 2],
    ['acquire', 'failed', 'TimeoutError', 2],
  ]);
  const points = await sdk.points('holdfast.lock.acquire.duration');
  expect(points.map(({ attributes }) => attributes['error.type']).sort()).toEqual([
    'TimeoutError',
    'timeout',
    undefined,
    undefined,
  ]);
  // No key in a metric: there may be millions of them.
  for (const { attributes } of points) {
    expect(Object.keys(attributes)).not.toContain('holdfast.lock.key');
    expect(attributes['holdfast.lock.group']).toBe('orders');
  }
});

test('a lost hold is an error in its trace, and counted by its reason', async () => {
  const sync = observed();
  await sdk.request(async () => {
    const grant = await sync.acquire('orders/1');
    store.commit({ when: [], then: [{ remove: grant.isOwner.key }] });
    await until(() => !grant.held);
  });
  const [hold] = sdk.spans('lock hold');
  expect(hold?.attributes).toMatchObject({ 'holdfast.lock.end': 'record-gone', 'error.type': 'lost' });
  expect(hold?.status.code).toBe(2);
  expect(await sdk.points('holdfast.lock.losses')).toMatchObject([
    {
      value: 1,
      attributes: { ...shop, 'holdfast.lock.group': 'orders', 'holdfast.lock.loss.reason': 'record-gone' },
    },
  ]);
});

test('a standing claim has no span of its hold, which may outlive every trace', async () => {
  const sync = observed();
  await sdk.request(() => steal(sync, 'reports'));
  await sdk.request(() => sync.lock('reports').lock());
  await sync.lock('reports').release();
  expect(sdk.spans('lock hold')).toEqual([]);
  expect(sdk.spans('lock acquire').map(({ attributes }) => attributes['holdfast.lock.call'])).toEqual([
    'lock',
    'lock',
  ]);
  const ends = await sdk.points('holdfast.lock.hold.duration');
  expect(ends.map(({ attributes }) => attributes['holdfast.lock.end'])).toEqual(['record-gone', 'released']);
});

test('times are seconds, and counts have annotations', async () => {
  const sync = observed();
  const started = performance.now();
  await sync.withLock('orders/1', () => new Promise((resolve) => setTimeout(resolve, 50)));
  const took = (performance.now() - started) / 1_000;
  const [held] = await sdk.points('holdfast.lock.hold.duration');
  if (held === undefined) throw new Error('nothing was measured');
  const { count, sum = 0, min = 0 } = held.value as Histogram;
  expect(count).toBe(1);
  expect(min).toBeGreaterThan(0.045);
  expect(sum).toBeLessThanOrEqual(took);
  await steal(sync, 'orders/1');
  expect(await sdk.units()).toMatchObject({
    'holdfast.lock.acquire.duration': 's',
    'holdfast.lock.hold.duration': 's',
    'holdfast.session.trusted_for': 's',
    'holdfast.lock.losses': '{lock}',
    'holdfast.lock.held': '{lock}',
    'holdfast.lock.waiters': '{waiter}',
  });
});

test('gauges show the present, and end with the manager', async () => {
  const holder = observed();
  const waiter = observed();
  await using _held = await holder.acquire('orders/1');
  await using _other = await holder.acquire('orders/2');
  const waiting = new AbortController();
  const call = waiter.acquire('orders/1', { signal: waiting.signal });
  const refused = expect(call).rejects.toThrow();
  const value = async (name: string) =>
    (await sdk.points(name)).reduce((sum, point) => sum + (point.value as number), 0);
  expect(await value('holdfast.lock.held')).toBe(2);
  expect(await value('holdfast.lock.waiters')).toBe(1);
  const [trusted] = await sdk.points('holdfast.session.trusted_for');
  // A TTL of 10 s less the margin.
  expect(trusted?.value).toBeGreaterThan(5);
  expect(trusted?.value).toBeLessThanOrEqual(9);
  waiting.abort();
  await refused;
  await waiter.stop();
  await holder.stop();
  expect(await value('holdfast.lock.held')).toBe(0);
  expect(await value('holdfast.session.trusted_for')).toBe(0);
});

test('how long renewals take is measured', async () => {
  const sync = observed(600);
  await sync.lock('orders/1').lock();
  await until(async () => (await sdk.points('holdfast.session.renew.duration')).length > 0);
  const [renewals] = await sdk.points('holdfast.session.renew.duration');
  expect(renewals?.attributes).toEqual(shop);
});

test('what cannot be given back, or not even be tried to, has ended when the manager stops', async () => {
  const inner = memory({ store });
  const stuck = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const backend = withVerbs(inner, {
    commit: (commit, signal) =>
      commit.then.some((mutation) => mutation.remove !== undefined)
        ? stuck(signal)
        : inner.commit(commit, signal),
  });
  const sync = new SyncManager({ name: 'shop', backend, telemetry });
  // More than are removed at a time.
  const keys = Array.from({ length: 70 }, (_, number) => `orders/${number}`);
  await Promise.all(keys.map((key) => sync.acquire(key)));
  expect(sdk.spans('lock hold')).toEqual([]);
  await sync.stop({ timeout: 50 });
  const ends = sdk.spans('lock hold').map(({ attributes }) => attributes['holdfast.lock.end']);
  expect(ends).toEqual(Array(70).fill('released'));
});

test('two of them for one provider are added up, and who is idle is not at its deadline', async () => {
  const { meterProvider } = sdk;
  const make = () =>
    new SyncManager({
      name: 'shop',
      backend: memory({ store }),
      telemetry: openTelemetry({ meterProvider }),
    });
  const [a, b] = [make(), make()];
  managers.push(a, b);
  const value = async (name: string) => (await sdk.points(name)).map((point) => point.value);
  expect(await value('holdfast.session.trusted_for')).toEqual([]);
  await a.lock('x').lock();
  expect(await value('holdfast.lock.held')).toEqual([1]);
  expect((await value('holdfast.session.trusted_for'))[0]).toBeGreaterThan(5);
  await b.lock('y').lock();
  expect(await value('holdfast.lock.held')).toEqual([2]);
  await a.stop();
  expect(await value('holdfast.lock.held')).toEqual([1]);
  expect((await value('holdfast.session.trusted_for'))[0]).toBeGreaterThan(5);
});

test('a group that throws is told to the diagnostics, and everything else is recorded', async () => {
  const errors: unknown[] = [];
  const silent = (): void => {};
  const error = (...told: unknown[]): void => void errors.push(told[0]);
  diag.setLogger({ error, warn: silent, info: silent, debug: silent, verbose: silent });
  const { meterProvider, tracerProvider } = sdk;
  const group = (key: string): string => (key.split('/')[1] as string).toLowerCase();
  const sync = new SyncManager({
    name: 'shop',
    backend: memory({ store }),
    telemetry: openTelemetry({ meterProvider, tracerProvider, group }),
  });
  managers.push(sync);
  expect(await sync.withLock('plain', () => 'done')).toBe('done');
  expect(sdk.spans().map(({ name }) => name)).toEqual(['lock acquire', 'lock hold']);
  expect(await sdk.points('holdfast.lock.hold.duration')).toMatchObject([{ attributes: shop }]);
  expect(new Set(errors)).toEqual(new Set(['holdfast: option "group" failed']));
  diag.disable();
});

test('renewals are no part of the request that needed a lock first', async () => {
  const inner = memory({ store });
  const contexts: (string | undefined)[] = [];
  const backend = withVerbs(inner, {
    renewSession: (id, signal) => {
      contexts.push(sdk.activeSpanId());
      return inner.renewSession(id, signal);
    },
  });
  const session = { ttl: 300, lockDelay: 0 };
  const sync = new SyncManager({ name: 'shop', backend, session, telemetry });
  managers.push(sync);
  await sdk.request(() => sync.lock('orders/1').lock());
  await until(() => contexts.length > 1);
  expect(new Set(contexts)).toEqual(new Set([undefined]));
});

test('without an SDK it does nothing, and nothing fails', async () => {
  await using sync = new SyncManager({ name: 'shop', backend: memory(), telemetry: openTelemetry() });
  expect(await sync.withLock('orders/1', ({ held }) => held)).toBe(true);
});

test('a bad option is named', () => {
  expect(() => openTelemetry({ group: 'orders' as never })).toThrow('option "group"');
  expect(() => new SyncManager({ name: 'shop', backend: memory(), telemetry: {} as never })).toThrow(
    'option "telemetry"',
  );
});
