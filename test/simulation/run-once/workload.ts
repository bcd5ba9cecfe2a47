import type { Commit } from 'holdfast';
import type { Process } from '../process.ts';
import type { Violation, Workload } from '../system.ts';
import type { World } from '../world.ts';
import { Job } from './job.ts';
import { Replica } from './replica.ts';

/** What stands beside a job's lock. */
const NOTE = '.last-run';

/** Replicas that all begin the same jobs at the same ticks, each by its own wall clock. */
export class RunOnceWorkload implements Workload {
  readonly #world: World;
  readonly #jobs: ReadonlyMap<string, Job>;
  readonly #replicas: Replica[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#jobs = new Map(world.keys.map((key) => [key, new Job(world, key)]));
  }

  start(process: Process): void {
    for (const job of this.#jobs.values()) this.#replicas.push(new Replica(this.#world, process, job));
  }

  look(): void {
    for (const job of this.#jobs.values()) job.look();
  }

  accepted({ then }: Commit, process: Process): void {
    for (const { put, value } of then) {
      if (!put?.endsWith(NOTE) || value === undefined) continue;
      const job = this.#jobs.get(put.slice(0, -NOTE.length));
      const { at, token } = JSON.parse(Buffer.from(value).toString());
      job?.notes.accepted(process, Date.parse(at), token);
      job?.invariants.accepted({ client: process.name, token: BigInt(token) });
    }
  }

  restored(): void {
    for (const job of this.#jobs.values()) job.restored();
  }

  hungry(): readonly string[] {
    // Who has noticed that the store went back runs nothing any more.
    if (this.#world.alive.every(({ noticed }) => noticed)) return [];
    return [...this.#jobs.values()].filter(({ isHungry }) => isHungry).map(({ key }) => key);
  }

  ended(): Promise<unknown> {
    const living = this.#replicas.filter(({ process }) => !process.dead);
    return Promise.all(living.map(({ done }) => done));
  }

  judge(): void {
    for (const job of this.#jobs.values()) job.judge();
  }

  keeps(key: string): boolean {
    return key.endsWith(NOTE);
  }

  get violations(): Violation[] {
    return [...this.#jobs.values()].flatMap(({ key, invariants }) =>
      invariants.violations.map((violation) => ({ ...violation, detail: `${key}: ${violation.detail}` })),
    );
  }

  get turns(): number {
    return [...this.#jobs.values()].reduce((sum, { runs }) => sum + runs, 0);
  }
}
