import { setMaxListeners } from 'node:events';
import { describe, expect, inject, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import { failure, signal, uniquePrefix, until } from './support.ts';

const address = inject('consulAddress');

/** Of the kinds that a backend uses. The test runner has some too, which come and go. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /^(TCP|TLS|Timeout|Immediate|GetAddrInfo)/.test(name))
    .sort();
}

function beyond(before: readonly string[], now: readonly string[]): string[] {
  const known = [...before];
  return now.filter((name) => {
    const index = known.indexOf(name);
    if (index >= 0) known.splice(index, 1);
    return index < 0;
  });
}

describe('the end', () => {
  it('leaves no timer, socket or listener', async () => {
    const before = resources();
    const backend = consul({ addresses: [address], sessionTtlMin: 1_000 });
    const prefix = uniquePrefix();
    const controller = new AbortController();
    let listeners = 0;
    const { signal: counted } = controller;
    setMaxListeners(0, counted);
    const [add, remove] = [counted.addEventListener.bind(counted), counted.removeEventListener.bind(counted)];
    counted.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    counted.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const { id } = await backend.openSession({ name: 'end', ttl: 60_000, lockDelay: 0 }, counted);
    await backend.renewSession(id, counted);
    const blocked = Array.from({ length: 200 }, (_, i) =>
      backend.query({ key: `${prefix}${i}` }, { since: '999999:-', wait: 60_000, signal: counted }),
    );
    await backend.closeSession(id, counted);
    expect(listeners).toBe(1);
    const rejected = blocked.map((each) => failure(each, 'stopped'));
    await backend[Symbol.asyncDispose]();
    await Promise.all(rejected);
    expect(listeners).toBe(0);
    expect(beyond(before, resources())).toEqual([]);
  });

  it('comes also in the middle of connecting, and of calls that are queued', async () => {
    const before = resources();
    const backend = consul({ addresses: [address] });
    const calls = Array.from({ length: 100 }, (_, i) =>
      backend.query({ key: `end-${i}` }, { signal: signal() }),
    );
    const rejected = calls.map((each) => failure(each, 'stopped'));
    await backend[Symbol.asyncDispose]();
    await Promise.all(rejected);
    await until('quiet', () => beyond(before, resources()).length === 0, 1_000);
  });
});
