/**
 * The platform's time and timers, taken once, when this is loaded. Fake timers that somebody's test installs later (those
 * of Vitest and Jest replace the globals) neither stop what keeps a session, nor replace one half of the time and not the
 * other. A test that wants time in its hands gives a clock.
 */

export {
  clearImmediate,
  clearInterval,
  clearTimeout,
  setImmediate,
  setInterval,
  setTimeout,
} from 'node:timers';
export { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/** Monotonic milliseconds. */
export const monotonic = performance.now.bind(performance);

/** Milliseconds since the Unix epoch. */
export const wall = Date.now;

export const queueMicrotask = globalThis.queueMicrotask;
