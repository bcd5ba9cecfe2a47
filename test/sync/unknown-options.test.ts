import { installShutdown, SyncManager, startService } from 'holdfast';
import { consul } from 'holdfast/consul';
import { LeaderOnly, WithLock } from 'holdfast/decorators';
import { injectLock, syncModule } from 'holdfast/di';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import { openTelemetry } from 'holdfast/opentelemetry';
import { afterAll, describe, expect, test } from 'vitest';

const sync = new SyncManager({ name: 'svc', backend: memory() });
afterAll(() => sync.stop());

/** As from a program in JavaScript, or from an object that was spread. */
const give = (options: object): never => options as never;
const manager = (options: object) => new SyncManager(give({ name: 'svc', backend: memory(), ...options }));

describe('C4: an option that nobody knows is refused by name, with the nearest right one', () => {
  test.each<[string, string, string, () => unknown]>([
    ['SyncManager', 'ttl', 'did you mean "session.ttl"?', () => manager({ ttl: 5_000 })],
    ['SyncManager', 'loger', 'did you mean "logger"?', () => manager({ loger: console })],
    ['SyncManager', 'colour', 'known are "name", "backend"', () => manager({ colour: 'red' })],
    ['session', 'session.timeout', 'known are "ttl"', () => manager({ session: { timeout: 5_000 } })],
    ['session', 'session.tll', 'did you mean "ttl"?', () => manager({ session: { tll: 5_000 } })],
    ['handOff', 'handOff.withn', 'did you mean "within"?', () => manager({ handOff: { withn: 5 } })],
    [
      'startService',
      'ttl',
      '"session.ttl"',
      () => startService(give({ name: 'svc', backend: memory(), ttl: 1 })),
    ],
    [
      'startService',
      'claimLeader',
      'known are',
      () => startService(give({ name: 'svc', backend: memory(), claimLeader: true })),
    ],
    [
      'syncModule',
      'name',
      'did you mean "named"?',
      () => syncModule({ name: 'svc', backend: memory() }, give({ name: 'x' })),
    ],
    ['injectLock', 'mananger', 'did you mean "manager"?', () => injectLock('k', give({ mananger: 'x' }))],
    ['acquire', 'waitFor', 'known are "signal", "timeout"', () => sync.acquire('k', give({ waitFor: 10 }))],
    ['acquire', 'timeOut', 'did you mean "timeout"?', () => sync.acquire('k', give({ timeOut: 10 }))],
    ['tryAcquire', 'retries', 'known are', () => sync.tryAcquire('k', give({ retries: 10 }))],
    ['withLock', 'ttl', 'known are', () => sync.withLock('k', () => undefined, give({ ttl: 10 }))],
    ['lock', 'metdata', 'did you mean "metadata"?', () => sync.lock('k', give({ metdata: 'x' }))],
    ['lock().lock', 'metadata', 'known are', () => sync.lock('k').lock(give({ metadata: 'x' }))],
    ['lock().tryLock', 'signl', 'did you mean "signal"?', () => sync.lock('k').tryLock(give({ signl: 1 }))],
    [
      'commit',
      'timeout',
      'known are "signal"',
      () => sync.commit({ when: [] } as never, give({ timeout: 1 })),
    ],
    ['stop', 'grace', 'known are "timeout"', () => sync.stop(give({ grace: 1 }))],
    ['stepDown', 'pauze', 'did you mean "pause"?', () => sync.leadership.stepDown(give({ pauze: 1 }))],
    ['installShutdown', 'timeOut', '"timeout"', () => installShutdown(sync, give({ timeOut: 1 }))],
    ['@WithLock', 'timeot', 'did you mean "timeout"?', () => WithLock('k', give({ timeot: 1 }))],
    ['@LeaderOnly', 'else', 'known are "manager", "otherwise"', () => LeaderOnly(give({ else: 'throw' }))],
    ['memory', 'contension', 'did you mean "contention"?', () => memory(give({ contension: 'race' }))],
    ['MemoryStore', 'expire', 'did you mean "expiry"?', () => new MemoryStore(give({ expire: 2 }))],
    ['etcd', 'host', 'did you mean "hosts"?', () => etcd(give({ host: '127.0.0.1:2379' }))],
    ['etcd', 'tls.crt', 'did you mean "cert"?', () => etcd(give({ hosts: 'https://a:1', tls: { crt: '' } }))],
    ['consul', 'adresses', 'did you mean "addresses"?', () => consul(give({ adresses: ['127.0.0.1:8500'] }))],
    ['consul', 'tls.cetr', 'did you mean "cert"?', () => consul(give({ tls: { cetr: '' } }))],
    ['openTelemetry', 'groups', 'did you mean "group"?', () => openTelemetry(give({ groups: () => 'x' }))],
  ])('%s: %s', async (_, name, hint, call) => {
    const refused = expect.objectContaining({
      code: 'invalid-option',
      outcome: 'refused',
      message: expect.stringMatching(new RegExp(`option "${name}" is unknown: .*`)),
    });
    const told = await (async () => call())().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(told).toEqual(refused);
    expect(String(told)).toContain(hint);
  });

  test('what is `undefined` is not given', async () => {
    expect(() => new SyncManager(give({ name: 'svc', backend: memory(), ttl: undefined }))).not.toThrow();
    expect(sync.lock('k', give({ whatever: undefined })).key).toBe('k');
  });
});

describe('C5: work that is none', () => {
  test.each<[string, () => unknown]>([
    ['withLock', () => sync.withLock('k', give({ timeout: 1 }))],
    ['whileLeader', () => sync.leadership.whileLeader(undefined as never)],
  ])('%s names it, and asks nothing', async (name, call) => {
    await expect((async () => call())()).rejects.toThrow(
      expect.objectContaining({
        code: 'invalid-option',
        message: expect.stringContaining(`"work" must be a function: ${name}(`),
      }),
    );
    expect(sync.health().session).toBe('idle');
  });
});

test('C5: one style of messages: the option named, one sentence without a full stop', () => {
  const thrown = (call: () => unknown): string => {
    try {
      call();
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('nothing was thrown');
  };
  const messages = [
    thrown(() => memory(give({ expiry: 0 }))),
    thrown(() => etcd(give({ requestTimeout: 0 }))),
    thrown(() => consul(give({ requestTimeout: 0 }))),
    thrown(() => manager({ session: { ttl: -1 } })),
  ];
  for (const message of messages) expect(message).toMatch(/^([a-z]+ )?option "[\w.]+" [a-z].*[^.]$/);
});
