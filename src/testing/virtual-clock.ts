import type { Clock, Timer } from '../async/clock.ts';
import { setImmediate } from '../async/platform.ts';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkFunction, checkNumber, invalidOf } from './checks.ts';

export interface VirtualClockOptions {
  /** The same seed gives the same random numbers. Default 1. */
  readonly seed?: number;
  /** The wall clock at the start, in milliseconds since the Unix epoch. Default: the start of 2024. */
  readonly wall?: number;
}

interface Pending {
  readonly at: number;
  readonly task: () => void;
}

const OPTIONS: Names<VirtualClockOptions> = { seed: true, wall: true };

const invalid = invalidOf('VirtualClock');

const START_OF_2024 = Date.UTC(2024, 0, 1);

/** Milliseconds of virtual time after which `runUntil` gives up. */
const DEFAULT_LIMIT = 3_600_000;

/**
 * Time that passes only when a test says so. Timers fire in the order of their instants, and of their making where
 * those are equal; between two of them every promise that can settle does. Real time still passes, and fake timers of a
 * test runner do not matter.
 *
 * Throws a `SyncError` `invalid-option` that names what is wrong.
 */
export class VirtualClock implements Clock {
  #now = 0;
  #wallOffset: number;
  #random: number;
  #running = false;
  /** Sorted by instant. */
  readonly #timers: Pending[] = [];

  constructor(options: VirtualClockOptions = {}) {
    refuseUnknown(options, OPTIONS, invalid);
    const { seed = 1, wall = START_OF_2024 } = options;
    checkNumber(invalid, 'seed', seed, { whole: true });
    checkNumber(invalid, 'wall', wall);
    this.#random = seed >>> 0;
    this.#wallOffset = wall;
  }

  /** How many timers wait, to see that none was left behind. */
  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallOffset;
  }

  after(ms: number, task: () => void): Timer {
    if (Number.isNaN(ms) || typeof ms !== 'number') throw invalid('ms', `must be a number, not ${ms}`);
    checkFunction(invalid, 'task', task);
    const timer: Pending = { at: this.#now + Math.max(0, ms), task };
    const later = this.#timers.findLastIndex(({ at }) => at <= timer.at) + 1;
    this.#timers.splice(later, 0, timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  /** Mulberry32: small, and good enough for jitter. */
  random(): number {
    this.#random = (this.#random + 0x6d2b79f5) >>> 0;
    let bits = this.#random;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Lets this many milliseconds pass, and fires on the way what is due. */
  async advance(ms: number): Promise<void> {
    // An endless span would never be over where a timer sets itself again.
    checkNumber(invalid, 'ms', ms, { least: 0 });
    const end = this.#now + ms;
    await this.#exclusively(async () => {
      await settled();
      while (await this.#fireNext(end));
      this.#now = Math.max(this.#now, end);
    });
  }

  /** Lets time pass until the condition holds, and throws when `limit` milliseconds did not suffice. */
  async runUntil(condition: () => boolean, limit = DEFAULT_LIMIT): Promise<void> {
    checkFunction(invalid, 'condition', condition);
    checkNumber(invalid, 'limit', limit, { least: 0 });
    const end = this.#now + limit;
    await this.#exclusively(async () => {
      await settled();
      while (!condition()) {
        if (!(await this.#fireNext(end))) {
          throw new Error(`The condition did not hold within ${limit} ms of virtual time.`);
        }
      }
    });
  }

  /** Lets this many milliseconds pass without firing anything, as a blocked event loop does. */
  stall(ms: number): void {
    checkNumber(invalid, 'ms', ms, { least: 0 });
    this.#now += ms;
  }

  /** Moves the wall clock alone: somebody set it, or the machine slept. */
  jumpWall(ms: number): void {
    checkNumber(invalid, 'ms', ms);
    this.#wallOffset += ms;
  }

  async #fireNext(end: number): Promise<boolean> {
    const next = this.#timers[0];
    if (next === undefined || next.at > end) return false;
    this.#timers.shift();
    this.#now = Math.max(this.#now, next.at);
    next.task();
    await settled();
    return true;
  }

  async #exclusively(run: () => Promise<void>): Promise<void> {
    if (this.#running) throw new Error('This clock is being advanced already.');
    this.#running = true;
    try {
      await run();
    } finally {
      this.#running = false;
    }
  }
}

/** An immediate runs when no microtask is left, however long their chain was. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
