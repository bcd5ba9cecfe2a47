import type { Clock, Timer } from '../async/clock.ts';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkNumber, invalidOf } from './checks.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface ProcessClockOptions {
  /** How fast this process's monotonic clock runs, 1 being true. */
  readonly rate?: number;
  /** Milliseconds that this process's wall clock is ahead of the true one. */
  readonly wallLead?: number;
}

const OPTIONS: Names<ProcessClockOptions> = { rate: true, wallLead: true };

const invalid = invalidOf('ProcessClock');

/** Milliseconds. */
const SHORTEST_TIMER = 0.01;

/**
 * Time as one process of a simulation sees it: its clocks may run fast or slow, and it may be frozen, as by `SIGSTOP`,
 * or asleep, as on a suspended machine, where the monotonic clock stands still as well.
 */
export class ProcessClock implements Clock {
  readonly #world: VirtualClock;
  readonly #rate: number;
  #wallLead: number;
  #halted: 'no' | 'frozen' | 'asleep' = 'no';
  /** True time since which it sleeps. */
  #since = 0;
  #slept = 0;
  readonly #overdue: (() => void)[] = [];
  #dead = false;

  constructor(world: VirtualClock, options: ProcessClockOptions = {}) {
    if (typeof world?.runUntil !== 'function') throw invalid('world', 'must be a VirtualClock');
    refuseUnknown(options, OPTIONS, invalid);
    const { rate = 1, wallLead = 0 } = options;
    checkNumber(invalid, 'rate', rate, { above: 0 });
    checkNumber(invalid, 'wallLead', wallLead);
    this.#world = world;
    this.#rate = rate;
    this.#wallLead = wallLead;
  }

  /** Whether this process can run at all at the moment. */
  get running(): boolean {
    return this.#halted === 'no' && !this.#dead;
  }

  now(): number {
    const asleep = this.#halted === 'asleep' ? this.#world.now() - this.#since : 0;
    return (this.#world.now() - this.#slept - asleep) * this.#rate;
  }

  wall(): number {
    return this.#world.wall() + this.#wallLead;
  }

  random(): number {
    return this.#world.random();
  }

  after(ms: number, task: () => void): Timer {
    const due = this.now() + ms;
    let cancelled = false;
    let timer: Timer;
    const arm = (): void => {
      // Not shorter than what a real timer can do, or rounding could make time stand still.
      const left = Math.max(SHORTEST_TIMER, due - this.now());
      timer = this.#world.after(left / this.#rate, () => this.whenRunning(fire));
    };
    const fire = (): void => {
      if (cancelled) return;
      // Timers do not run down while the machine sleeps.
      if (due - this.now() > SHORTEST_TIMER) arm();
      else task();
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Runs the task now, or as soon as this process goes on: what reaches a halted process waits at its door. */
  whenRunning(task: () => void): void {
    if (this.#dead) return;
    if (this.#halted === 'no') task();
    else this.#overdue.push(task);
  }

  freeze(): void {
    if (this.#halted === 'no') this.#halted = 'frozen';
  }

  sleep(): void {
    if (this.#halted !== 'no') return;
    this.#halted = 'asleep';
    this.#since = this.#world.now();
  }

  /** Ends a freeze or a sleep. `look` is the first thing that this process does, before any timer has run. */
  wake(look?: () => void): void {
    if (this.#halted === 'asleep') this.#slept += this.#world.now() - this.#since;
    this.#halted = 'no';
    look?.();
    // One by one, as an event loop does: between two of them every promise that can settle does.
    for (const task of this.#overdue.splice(0)) this.#world.after(0, () => this.whenRunning(task));
  }

  /** Nothing of this process ever runs again. */
  kill(): void {
    this.#dead = true;
    this.#overdue.length = 0;
  }

  /** Somebody sets the wall clock, by so many milliseconds. */
  setWall(by: number): void {
    checkNumber(invalid, 'by', by);
    this.#wallLead += by;
  }
}
