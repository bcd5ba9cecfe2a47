import type { Commit } from 'holdfast';
import type { Mutants } from './mutation/patch.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** What may never happen, with when and to whom. */
export interface Violation {
  readonly rule: string;
  /** Milliseconds of true time. */
  readonly at: number;
  readonly detail: string;
}

/** Something that stands on the engine, to be run in the simulation: what its processes do, and what is checked. */
export interface System {
  /** As in `--workload name`. */
  readonly name: string;
  /** The mistakes that its checks must catch. */
  readonly mutants: Mutants;
  /** A seed to try first for some of them: what it catches is caught at once, and one that catches nothing any more costs a run. */
  readonly caughtBy?: Readonly<Record<string, number>>;
  /** How many runs the tests make. */
  readonly seeds: number;
  /** How many turns each of them has at least, on average. */
  readonly turns: number;
  /** Modules of the library that it takes beside the manager and the memory store, below `src/`: `{ leases: 'leases/index.ts' }`. */
  readonly modules?: Readonly<Record<string, string>>;
  /** Milliseconds of true time in which harm is done. Default 4,000. */
  readonly harm?: number;
  /** Milliseconds by which wall clocks are ahead of the true one or behind, at most. Default: many minutes. */
  readonly wallLead?: number;
  /** One run. All chance is the world's. */
  begin(world: World): Workload;
}

/** What the processes of one run do, and what is known of it. */
export interface Workload {
  /** Begins what this process does, again and again, until `process.stopping` is aborted. */
  start(process: Process): void;
  /** After every event: what may not be seen now? It tells `world.violate`, or has it in `violations`. */
  look?(): void;
  /** The store has accepted a commit of this process. Told in the order in which it accepts them. */
  accepted?(commit: Commit, process: Process): void;
  /** The store has just gone back to an earlier copy. */
  restored?(): void;
  /** Who, of the living, has not got what it wants since `world.well`: the run goes on until there is nobody, and not for ever. */
  hungry(): readonly string[];
  /** Settles when everything has ended that living processes had begun. */
  ended(): Promise<unknown>;
  /** The run is over: what can only be judged as a whole. */
  judge?(): void;
  /** Whether a record there that no session owns is for its operator to remove, when all is well. */
  isInTheWay?(key: string): boolean;
  /** Whether a record may stay when everybody has stopped. Default: none may. */
  keeps?(key: string): boolean;
  /** What its checkers have found. */
  readonly violations?: readonly Violation[];
  /** How often something was done of what this is about: a run in which nothing happens finds nothing. */
  readonly turns: number;
}
