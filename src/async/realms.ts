import { setMaxListeners } from 'node:events';
import { isUint8Array } from 'node:util/types';

/*
 * Test runners run a program in a context of its own, whose classes are not those of Node, and may replace some of them: with
 * jsdom an `AbortSignal` is none for Node, a `Buffer` is no `Uint8Array`, and what Node throws is no `Error`. So nothing here asks
 * for a class.
 */

export function isError(value: unknown): value is Error {
  const { name, message } = (value ?? {}) as Partial<Error>;
  return typeof value === 'object' && typeof name === 'string' && typeof message === 'string';
}

export function messageOf(error: unknown): string {
  return isError(error) ? error.message : String(error);
}

export function isBytes(value: unknown): value is Uint8Array {
  return isUint8Array(value);
}

export function isAbortSignal(value: unknown): value is AbortSignal {
  const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>;
  return typeof aborted === 'boolean' && typeof addEventListener === 'function';
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}

/**
 * For a signal that others listen to as well: users may give one shutdown signal to any number of calls, and to whatever
 * else there is. Node would print a warning about a leak from the 11th listener on.
 */
export function expectManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal);
  } catch {
    // One that is not Node's warns of nothing.
  }
}

/** Shows an error as a process warning, with its stack where Node knows it for an error. Never throws. */
export function warnProcess(what: unknown, type: string): void {
  try {
    process.emitWarning(isError(what) ? what : String(what), type);
  } catch {
    process.emitWarning(String(what), type);
  }
}
