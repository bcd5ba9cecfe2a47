import { type MemoryOptions, MemoryStore, type MemoryStoreOptions, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import type { Backend, Commit, Mutation, QueryResult, Scope } from '../../src/contract/backend.ts';

export const signal: AbortSignal = new AbortController().signal;

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function put(key: string, session?: string): Mutation {
  const value = bytes('x');
  return session === undefined ? { put: key, value } : { put: key, value, session };
}

export function commit(backend: Backend, then: Mutation[], when: Commit['when'] = []) {
  return backend.commit({ when, then }, signal);
}

export async function session(backend: Backend, ttl = 10_000, lockDelay = 0): Promise<string> {
  return (await backend.openSession({ name: 'test', ttl, lockDelay }, signal)).id;
}

/** A store on a virtual clock, and a client of it. */
export function virtual(options: Omit<MemoryStoreOptions & MemoryOptions, 'store' | 'clock'> = {}) {
  const clock = new VirtualClock();
  const store = new MemoryStore({ ...options, clock });
  return { clock, store, backend: memory({ store }) };
}

/** A query blocked from now on, and whether it was woken. */
export async function blocked(backend: Backend, scope: Scope, wait?: number) {
  const { at } = await backend.query(scope, { signal });
  const state: { result?: QueryResult } = {};
  const done = backend
    .query(scope, { since: at, signal, ...(wait !== undefined && { wait }) })
    .then((result) => {
      state.result = result;
    });
  done.catch(() => {});
  return { state, done, at };
}

/** Lets every promise settle that can. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
