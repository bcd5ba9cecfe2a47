import type { Backend, CommitResult, Grant } from 'holdfast';
import { ProcessClock } from '../../src/testing/process-clock.ts';
import { calm, type NetworkConditions, SimulatedNetwork } from '../../src/testing/simulated-network.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { KeyHistory, type Violation } from './history.ts';

/** The library under test: the real one, or a copy with a known mistake in it. */
export interface Subject {
  readonly SyncManager: typeof import('holdfast').SyncManager;
  readonly MemoryStore: typeof import('holdfast/memory').MemoryStore;
  readonly memory: typeof import('holdfast/memory').memory;
}

export const TTL = 500;
const REQUEST_TIMEOUT = 200;

export interface Process {
  readonly number: number;
  readonly clock: ProcessClock;
  readonly network: SimulatedNetwork;
  readonly sync: InstanceType<Subject['SyncManager']>;
  /** Grants that somebody in this process may still believe in. */
  readonly grants: Set<Grant>;
  readonly stopping: AbortController;
  dead: boolean;
}

/** One store, some processes, and everything that was seen. All chance comes from the seed. */
export class World {
  readonly clock: VirtualClock;
  readonly processes: Process[] = [];
  readonly keys: readonly string[];
  readonly lines: string[] = [];
  readonly store: InstanceType<Subject['MemoryStore']>;
  readonly contention: 'queue' | 'race';
  readonly lockDelay: number;
  readonly mayOperate: boolean;
  readonly #subject: Subject;
  readonly #trace: boolean;
  readonly #histories: Map<string, KeyHistory>;
  readonly #others: Violation[] = [];

  constructor(subject: Subject, seed: number, trace: boolean) {
    this.#subject = subject;
    this.#trace = trace;
    this.clock = new VirtualClock({ seed });
    this.contention = this.chance(0.5) ? 'queue' : 'race';
    this.lockDelay = this.contention === 'race' && this.chance(0.5) ? this.between(50, 400) : 0;
    this.mayOperate = this.chance(0.3);
    this.keys = this.chance(0.7) ? ['k'] : ['k', 'k/below'];
    const expiry = this.chance(0.5) ? 1 : 2;
    this.store = new subject.MemoryStore({ contention: this.contention, clock: this.clock, expiry });
    this.#histories = new Map(this.keys.map((key) => [key, new KeyHistory(key, () => this.mayOperate)]));
    this.note(() => `${this.contention}, lock-delay ${this.lockDelay}, expiry x${expiry}, keys ${this.keys}`);
  }

  chance(probability: number): boolean {
    return this.clock.random() < probability;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.clock.random();
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.clock.random() * items.length)] as T;
  }

  note(line: () => string): void {
    if (this.#trace) this.lines.push(`${this.clock.now().toFixed(1).padStart(9)} ms  ${line()}`);
  }

  violate(rule: string, detail: string): void {
    this.#others.push({ rule, at: this.clock.now(), detail });
  }

  get violations(): Violation[] {
    return [...this.#others, ...[...this.#histories.values()].flatMap(({ violations }) => violations)];
  }

  history(key: string): KeyHistory {
    return this.#histories.get(key) as KeyHistory;
  }

  spawn(): Process {
    const number = this.processes.length + 1;
    const { SyncManager, memory } = this.#subject;
    // Within what the margin of a tenth allows.
    const clock = new ProcessClock(this.clock, {
      rate: this.between(0.98, 1.02),
      wallLead: this.between(-1e6, 1e6),
    });
    const network = new SimulatedNetwork(this.clock, clock, REQUEST_TIMEOUT);
    const backend = network.connect(this.#observed(memory({ store: this.store }), number));
    const session = { ttl: TTL, lockDelay: this.lockDelay };
    const sync = new SyncManager({ name: `p${number}`, backend, clock, session });
    const process: Process = {
      number,
      clock,
      network,
      sync,
      grants: new Set(),
      stopping: new AbortController(),
      dead: false,
    };
    this.processes.push(process);
    return process;
  }

  get alive(): Process[] {
    return this.processes.filter(({ dead }) => !dead);
  }

  setNetwork(process: Process, conditions: Partial<NetworkConditions>): void {
    process.network.conditions = { ...calm, ...conditions };
  }

  /** After every event: who believes what? A process that cannot run cannot look. */
  check(): void {
    for (const key of this.keys) {
      const believers = this.processes.flatMap(({ number, clock, grants }) =>
        clock.running
          ? [...grants]
              .filter((grant) => grant.key === key && grant.held)
              .map(({ token }) => ({ process: number, token }))
          : [],
      );
      this.history(key).believers(this.clock.now(), believers);
    }
  }

  /** Sees guarded writes in the order in which the store accepts them. */
  #observed(server: Backend, process: number): Backend {
    const commit: Backend['commit'] = async (wanted, signal): Promise<CommitResult> => {
      // The memory store acts before it answers: nothing comes between this and the next line.
      const answer = server.commit(wanted, signal);
      const written = wanted.then.find((mutation) => 'put' in mutation && mutation.put.endsWith('/data'));
      const result = await answer;
      if (result.ok && written !== undefined && 'put' in written) {
        const token = BigInt(Buffer.from(written.value).toString());
        this.history(written.put.slice(0, -'/data'.length)).accepted(this.clock.now(), { process, token });
      }
      return result;
    };
    return {
      traits: server.traits,
      lockPath: (key) => server.lockPath(key),
      openSession: (options, signal) => server.openSession(options, signal),
      renewSession: (id, signal) => server.renewSession(id, signal),
      closeSession: (id, signal) => server.closeSession(id, signal),
      query: (scope, options) => server.query(scope, options),
      commit,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  }
}
