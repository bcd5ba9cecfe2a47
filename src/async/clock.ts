import { clearTimeout, monotonic, setTimeout, wall } from './platform.ts';

/**
 * Time as the engine sees it, injected so that the same code runs under a virtual clock.
 * Nothing that may run in the simulation asks the platform for the time or for a timer.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary instant. Every deadline is counted on this one. */
  now(): number;
  /** Wall clock, milliseconds since the Unix epoch. Only to notice that a machine slept, and for metadata. */
  wall(): number;
  /** Runs `task` once, at or after `ms` milliseconds. */
  after(ms: number, task: () => void): Timer;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

export interface Timer {
  cancel(): void;
}

/** Node cannot delay by more: a longer delay would fire at once. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** All of it from one place: with fake timers half installed, the time that passes and the time that is shown would differ. */
export const systemClock: Clock = {
  now: monotonic,
  wall,
  random: () => Math.random(),
  after(ms, task) {
    const handle = setTimeout(task, Math.min(Math.max(0, ms), LONGEST_TIMEOUT));
    return { cancel: () => clearTimeout(handle) };
  },
};
