import assert from 'node:assert/strict';
import { setImmediate, sleep } from '../../async/platform.ts';

/** Rejects when the promise did not settle in time. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  // When the promise wins, the cancelled sleep rejects with nobody listening.
  const late = awaitedLater(
    sleep(ms, undefined, { signal: timer.signal }).then(() => assert.fail(`${what}: not within ${ms} ms`)),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** Real time without anything happening, for a rule about quiet. */
export function quiet(ms: number): Promise<void> {
  return sleep(ms);
}

/** Lets everything else in this process have a turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** For a promise that is awaited later: that it fails before is then not an unhandled rejection. */
export function awaitedLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
