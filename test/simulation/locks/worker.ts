import type { Grant } from 'holdfast';
import { sleep } from '../../../src/async/sleep.ts';
import { givenBack } from '../../scenarios/world.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import type { LockWorkload } from './workload.ts';
import { write } from './writes.ts';

/** Milliseconds that a single attempt may take: its session is opened, its requests are lost, and so is that which takes it back. */
const ATTEMPT = 2_500;

/** One caller in one process that wants one lock. */
export class Worker {
  readonly #workload: LockWorkload;
  readonly #world: World;
  readonly #process: Process;
  readonly #key: string;
  /** It holds the lock. */
  readonly #onTurn: () => void;

  constructor(workload: LockWorkload, process: Process, key: string, onTurn: () => void) {
    this.#workload = workload;
    this.#world = workload.world;
    this.#process = process;
    this.#key = key;
    this.#onTurn = onTurn;
  }

  /** Once, after a while. */
  async work(standing: boolean): Promise<void> {
    try {
      // Some have other things to do for longer.
      await this.#pause(this.#world.between(0, this.#world.chance(0.1) ? 3_000 : 150));
      await (standing ? this.#stand() : this.#useScoped());
    } finally {
      this.#workload.claims(this.#process).forget(this.#key);
    }
  }

  async #stand(): Promise<void> {
    const world = this.#world;
    const claims = this.#workload.claims(this.#process);
    const lock = this.#process.sync.lock(this.#key);
    claims.standing.add(this.#key);
    const timeout = world.between(10, 800);
    const once = world.chance(0.5);
    const asked = world.clock.now();
    const ask = (): Promise<Grant | undefined> =>
      once ? this.#trying((options) => lock.tryLock(options)) : lock.lock({ timeout });
    const grant = await claims.asking(this.#key, ask());
    if (grant === undefined) return;
    await this.#use(grant, asked, false);
    // Often it holds on, and the next round finds it held.
    if (world.chance(0.6)) {
      await lock.release();
      claims.standing.delete(this.#key);
    }
  }

  async #useScoped(): Promise<void> {
    const world = this.#world;
    const { clock, sync } = this.#process;
    const asked = world.clock.now();
    if (world.chance(0.2)) {
      const tried = await this.#trying((options) => sync.tryAcquire(this.#key, options));
      if (tried !== undefined) await this.#finish(tried, asked);
      return;
    }
    const controller = new AbortController();
    const abort = world.chance(world.well ? 0.1 : 0.3)
      ? clock.after(world.between(0, 300), () => controller.abort(new Error('gave up')))
      : undefined;
    try {
      // Who is patient enough gets the lock for certain, once all is well.
      const timeout = world.well ? 60_000 : world.between(300, 5_000);
      const options = { signal: controller.signal, timeout };
      const call = this.#inLine(() => sync.acquire(this.#key, options));
      await this.#finish(await this.#workload.claims(this.#process).asking(this.#key, call), asked);
    } finally {
      abort?.cancel();
    }
  }

  async #use(grant: Grant, asked: number, isScoped: boolean): Promise<void> {
    const world = this.#world;
    this.#onTurn();
    if (!grant.held && !grant.signal.aborted) {
      const who = `${this.#process.name}: ${this.#key}, ${grant.token}`;
      world.violate('a lock was handed out that is not held', who);
    }
    this.#workload.meet(this.#process, grant, asked, isScoped);
    // Some hold on for as long as they can; but not when everybody has to get on.
    const rounds = Math.floor(world.between(0, !world.well && world.chance(0.15) ? 25 : 4));
    for (let round = 0; round < rounds && !grant.signal.aborted; round++) {
      await this.#pause(world.between(0, 200));
      if (world.chance(0.5)) await this.#write(grant);
    }
    // Some write in passing; some hold on to a proof, and try it when it is too late.
    if (world.chance(0.2)) void this.#write(grant);
    if (world.chance(0.1)) {
      const late = world.between(0, world.chance(0.3) ? 3_000 : 300);
      this.#process.clock.after(late, () => void this.#write(grant));
    }
  }

  async #finish(grant: Grant, asked: number): Promise<void> {
    await this.#use(grant, asked, true);
    const release = this.#workload.history(this.#key).releasing(this.#process.name, grant.token);
    if (await givenBack(this.#process.sync, grant)) release.done();
  }

  /** A try ends with its attempt, also without a limit of its own. */
  async #trying(
    call: (options: { readonly timeout?: number }) => Promise<Grant | undefined>,
  ): Promise<Grant | undefined> {
    const world = this.#world;
    const { clock, halts, name } = this.#process;
    const began = clock.now();
    try {
      return await call(world.chance(0.5) ? { timeout: world.between(10, 800) } : {});
    } finally {
      const took = clock.now() - began;
      if (this.#process.halts === halts && !this.#process.dead && took > ATTEMPT) {
        world.violate('a try waited for longer than an attempt', `${name}: ${took.toFixed(0)} ms`);
      }
    }
  }

  /** Callers of one process are served in the order in which they asked. */
  async #inLine(ask: () => Promise<Grant>): Promise<Grant> {
    const line = this.#workload.claims(this.#process).line(this.#key);
    const place = this.#world.nextNumber();
    line.add(place);
    try {
      const grant = await ask();
      const first = Math.min(...line);
      if (first !== place) {
        const who = `${this.#process.name}: ${this.#key}, ${place} before ${first}`;
        this.#world.violate('served out of order', who);
      }
      return grant;
    } finally {
      line.delete(place);
    }
  }

  #write(grant: Grant): Promise<void> {
    return write(this.#workload, this.#process, grant).catch(() => undefined);
  }

  #pause(ms: number): Promise<void> {
    const { clock, stopping } = this.#process;
    return sleep(clock, ms, stopping.signal);
  }
}
