import type { Grant } from 'holdfast';
import { LockInvariants } from '../../../src/testing/lock-invariants.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import { Notes } from './notes.ts';

/** Milliseconds from one tick to the next. */
export const PERIOD = 2_000;
/** More than a call may last, also in a process that is frozen for as long as its session lives. */
export const AT_LEAST = 900;

/** Milliseconds after which what went wrong before keeps nobody from a tick any more. */
const GRACE = 4_000;
/** Runs of a healthy world after which it has shown that it gets on. */
const ENOUGH = 5;

/** What is known of one job in one run: who struck which tick, and who ran it. */
export class Job {
  readonly key: string;
  readonly notes: Notes;
  readonly invariants: LockInvariants;
  runs = 0;
  readonly #world: World;
  readonly #grants = new Set<{ readonly process: Process; readonly grant: Grant }>();
  /** How often each tick was run. */
  readonly #ticks = new Map<number, number>();
  /** Ticks that somebody struck who could have run them, when all was well. */
  readonly #due = new Set<number>();
  #wellAt: number | undefined;
  #runsWhenWell = 0;

  constructor(world: World, key: string) {
    this.#world = world;
    this.key = key;
    this.notes = new Notes(world, key, AT_LEAST);
    this.invariants = new LockInvariants({ now: () => world.clock.now(), operated: world.mayOperate });
  }

  struck({ noticed, dead }: Process, tick: number): void {
    const { clock, well } = this.#world;
    if (well) this.#wellAt ??= clock.now();
    const isGraced = this.#wellAt === undefined || clock.now() < this.#wellAt + GRACE;
    if (!isGraced && !noticed && !dead) this.#due.add(tick);
  }

  /** Somebody runs it, until what is given back is called. */
  begun(process: Process, tick: number, grant: Grant): () => void {
    const { well } = this.#world;
    const { token } = grant;
    this.runs += 1;
    if (well) this.#runsWhenWell += 1;
    this.notes.begun(String(token));
    this.invariants.granted({ client: process.name, token });
    const times = (this.#ticks.get(tick) ?? 0) + 1;
    this.#ticks.set(tick, times);
    if (times > 1 && this.#areTicksTheSame) {
      this.#world.violate('a tick was run twice', `${this.key}: ${tick}, by ${process.name}`);
    }
    const run = { process, grant };
    this.#grants.add(run);
    return () => this.#grants.delete(run);
  }

  look(): void {
    const holders = [...this.#grants].filter(({ process, grant }) => process.clock.running && grant.held);
    this.invariants.believed(
      holders.map(({ process, grant }) => ({ client: process.name, token: grant.token })),
    );
  }

  restored(): void {
    this.invariants.restored();
    this.notes.restored();
  }

  get isHungry(): boolean {
    return this.#runsWhenWell < ENOUGH;
  }

  judge(): void {
    if (!this.#areTicksTheSame) return;
    // Of the last one nobody can know yet.
    const last = Math.max(...this.#due);
    for (const tick of this.#due) {
      if (tick < last && !this.#ticks.has(tick)) {
        this.#world.violate('a tick was run by nobody', `${this.key}: ${tick}`);
      }
    }
  }

  /** Who sleeps comes to a tick when the others are past it, and a clock that is set has ticks of its own. */
  get #areTicksTheSame(): boolean {
    return !this.#world.mayDoubt && !this.#world.server.restored;
  }
}
