import type { Grant, RunOnceOptions } from 'holdfast';
import { sleep } from '../../../src/async/sleep.ts';
import { isExpected } from '../errors.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import { AT_LEAST, type Job, PERIOD } from './job.ts';

/** Milliseconds after a tick: by then it was struck, or is not any more. */
const MISSED = 100;

/** Milliseconds after which a note that had no answer has arrived, or never will. */
const ARRIVED = 3_000;

/** One process that begins one job at every tick, by its own wall clock. */
export class Replica {
  readonly process: Process;
  readonly done: Promise<void>;
  readonly #world: World;
  readonly #job: Job;
  readonly #calls = new Set<Promise<void>>();
  /** When a call had no answer last, in milliseconds of true time. */
  #unknownAt = Number.NEGATIVE_INFINITY;

  constructor(world: World, process: Process, job: Job) {
    this.process = process;
    this.#world = world;
    this.#job = job;
    this.done = Promise.resolve().then(() => this.#strike());
  }

  /** At each tick, whether or not what began at the last one has ended. */
  async #strike(): Promise<void> {
    const { clock, stopping } = this.process;
    try {
      for (;;) {
        const wall = clock.wall();
        // A timer of a clock that runs fast is early: then this tick is the one that it was made for.
        const tick = Math.round(wall / PERIOD) + 1;
        await sleep(clock, tick * PERIOD - wall + this.#world.between(0, 50), stopping.signal);
        // A process that stood still has missed it.
        if (clock.wall() - tick * PERIOD > MISSED) continue;
        const call = this.#call(tick).finally(() => this.#calls.delete(call));
        this.#calls.add(call);
      }
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
    }
    await Promise.all(this.#calls);
  }

  async #call(tick: number): Promise<void> {
    const world = this.#world;
    const { name, sync, stopping } = this.process;
    const { key, notes } = this.#job;
    const isAlone = this.#calls.size === 0;
    const asked = world.clock.now();
    this.#job.struck(this.process, tick);
    const options: RunOnceOptions = {
      atLeast: AT_LEAST,
      timeout: world.between(100, 300),
      ...(world.chance(0.5) && { signal: stopping.signal }),
    };
    try {
      const { ran } = await sync.runOnce(key, options, (grant) => this.#run(tick, grant));
      // What an earlier call asked for may have arrived only now.
      if (ran || !isAlone || asked < this.#unknownAt + ARRIVED) return;
      if (notes.isNotedBy(this.process, asked)) {
        world.violate('told that it did not run, although it is noted', `${name}: ${key}, ${tick}`);
      }
    } catch (error) {
      this.#unknownAt = world.clock.now();
      if (!stopping.signal.aborted && !isExpected(error, world)) {
        world.violate('an unexpected error', `${name}: ${String(error)}`);
      }
    }
  }

  async #run(tick: number, grant: Grant): Promise<void> {
    const world = this.#world;
    const end = this.#job.begun(this.process, tick, grant);
    world.note(() => `${this.process.name} runs ${this.#job.key}, tick ${tick}, token ${grant.token}`);
    try {
      // Some outlast the next tick; but not when everybody has to get on.
      const longest = !world.well && world.chance(0.2) ? 2 * PERIOD : 400;
      await sleep(this.process.clock, world.between(0, longest), grant.signal);
    } finally {
      end();
    }
  }
}
