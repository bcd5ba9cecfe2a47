import type { Claim } from 'holdfast';
import { sleep } from '../../../src/async/sleep.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import type { ClaimWorkload } from './workload.ts';

/** Beside each key, what only its holder writes: under which token, and for the how-manieth time. */
export const DATA = '.data';

/** One caller in one process that claims one key, by a manager of that process. */
export class Claimant {
  readonly #workload: ClaimWorkload;
  readonly #world: World;
  readonly #process: Process;
  readonly #sync: Process['sync'];
  readonly #key: string;

  constructor(workload: ClaimWorkload, process: Process, sync: Process['sync'], key: string) {
    this.#workload = workload;
    this.#world = workload.world;
    this.#process = process;
    this.#sync = sync;
    this.#key = key;
  }

  /** Once, after a while. */
  async work(onTurn: () => void): Promise<void> {
    const world = this.#world;
    await this.#pause(world.between(0, world.chance(0.1) ? 2_000 : 250));
    const claim = await this.#workload.wants(this.#process, this.#key, this.#claim());
    if (claim === undefined) return;
    onTurn();
    await this.#workload.wants(this.#process, this.#key, this.#hold(claim));
  }

  async #claim(): Promise<Claim | undefined> {
    const world = this.#world;
    const { promises } = this.#workload;
    const promised = promises.next();
    const asked = world.clock.now();
    const controller = new AbortController();
    const abort = world.chance(world.well ? 0.05 : 0.3)
      ? this.#process.clock.after(world.between(0, 300), () => controller.abort(new Error('gave up')))
      : undefined;
    const mayHold = world.chance(0.95);
    let claim: Claim | undefined;
    try {
      claim = await this.#sync.claim(this.#key, {
        value: this.#process.name,
        when: [
          { key: promised, is: 'absent' },
          ...(mayHold ? [] : [{ key: 'never', revision: 1n } as const]),
        ],
        then: [{ put: promised, value: '' }],
        read: { key: promised },
        signal: controller.signal,
        timeout: world.well ? 10_000 : world.between(50, 3_000),
      });
    } catch (error) {
      world.note(() => `${this.#process.name} does not know of ${promised}: ${String(error)}`);
      if (!this.#workload.repeatedSince(this.#process, asked)) promises.failed(promised, error);
      throw error;
    } finally {
      abort?.cancel();
    }
    if (claim === undefined) {
      if (!this.#workload.repeatedSince(this.#process, asked)) promises.refused(promised);
      return undefined;
    }
    promises.written(promised);
    if (!mayHold) world.violate('a claim was granted whose condition does not hold', this.#key);
    if (claim.read.length !== 1 && !world.server.restored) {
      world.violate('what was written with a claim was not read with it', this.#key);
    }
    this.#workload.granted(this.#process, claim);
    return claim;
  }

  async #hold(claim: Claim): Promise<void> {
    const world = this.#world;
    // Some hold on for as long as they can; but not when everybody has to get on.
    const rounds = Math.floor(world.between(0, !world.well && world.chance(0.1) ? 20 : 3));
    for (let round = 0; round < rounds && !claim.signal.aborted; round++) {
      await this.#pause(world.between(0, 150));
      if (world.chance(0.5)) await this.#write(claim);
    }
    // Some write in passing; some hold on to a proof, and try it when it is too late.
    if (world.chance(0.2)) void this.#write(claim);
    if (world.chance(0.1)) this.#process.clock.after(world.between(0, 1_000), () => void this.#write(claim));
    await this.#release(claim);
  }

  async #write(claim: Claim): Promise<void> {
    const value = `${claim.token}.${this.#world.nextNumber()}`;
    const change = this.#sync
      .begin()
      .when(claim.isOwner)
      .put(this.#key + DATA, value);
    // Whether it is accepted is for the store to say.
    await change.commit().catch(() => undefined);
  }

  async #release(claim: Claim): Promise<void> {
    const { promises } = this.#workload;
    if (this.#world.chance(0.4)) {
      await claim.release({ reason: new Error('preempted') });
      return;
    }
    const promised = promises.next();
    const asked = this.#world.clock.now();
    try {
      await claim.release({ then: [{ put: promised, value: '' }] });
      promises.written(promised);
    } catch (error) {
      this.#world.note(() => `${this.#process.name} releases without ${promised}: ${String(error)}`);
      if (!this.#workload.repeatedSince(this.#process, asked)) promises.failed(promised, error);
      throw error;
    }
  }

  #pause(ms: number): Promise<void> {
    const { clock, stopping } = this.#process;
    return sleep(clock, ms, stopping.signal);
  }
}
