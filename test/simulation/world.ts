import { calm, type NetworkConditions } from '../../src/testing/simulated-network.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { type Process, spawn } from './process.ts';
import { Server } from './server.ts';
import type { Subject } from './subject.ts';
import type { System, Violation, Workload } from './system.ts';
import { TTL } from './timing.ts';

/** Milliseconds. */
const DEFAULT_HARM = 4_000;

/** One store, some processes, and everything that was seen. All chance comes from the seed. */
export class World {
  readonly clock: VirtualClock;
  readonly processes: Process[] = [];
  /** What processes have to do with: one name, or another one below it too. */
  readonly keys: readonly string[];
  readonly lines: string[] = [];
  readonly store: InstanceType<Subject['MemoryStore']>;
  readonly server: Server;
  readonly contention: 'queue' | 'race';
  readonly lockDelay: number;
  /** Whether an operator destroys sessions, and deletes and overwrites records. */
  readonly mayOperate: boolean;
  /** Whether machines may sleep and wall clocks be set: then belief may pause until a session is verified. */
  readonly mayDoubt: boolean;
  /** Whether wall clocks may be set back; then no machine sleeps. Together they can hide a sleep from both clocks. */
  readonly maySetBack: boolean;
  /** Whether the operator also deletes records when all is well. */
  readonly mayTake: boolean;
  /** Whether the store may be restored from an earlier copy, while the sessions live on. */
  readonly mayRestore: boolean;
  /** Whether connections may be garbled: then a commit fails by other codes as well, whatever became of it. */
  readonly mayGarble: boolean;
  /** Somebody has set a wall clock. */
  wallsWereSet = false;
  /** From now on nothing goes wrong. */
  well = false;
  /** And what went wrong before is over. */
  healed = false;
  readonly subject: Subject;
  readonly system: System;
  readonly workload: Workload;
  /** Milliseconds of true time in which harm is done. */
  readonly harm: number;
  readonly #trace: boolean;
  readonly #violations: Violation[] = [];
  #serial = 0;

  constructor(system: System, subject: Subject, seed: number, trace: boolean) {
    this.system = system;
    this.subject = subject;
    this.harm = system.harm ?? DEFAULT_HARM;
    this.#trace = trace;
    this.clock = new VirtualClock({ seed });
    this.contention = this.chance(0.5) ? 'queue' : 'race';
    this.lockDelay = this.contention === 'race' && this.chance(0.5) ? this.between(50, 400) : 0;
    this.mayOperate = this.chance(0.3);
    this.mayTake = this.mayOperate && this.chance(0.5);
    this.mayRestore = !this.mayOperate && this.chance(0.4);
    this.mayGarble = this.chance(0.4);
    this.mayDoubt = this.chance(0.5);
    this.maySetBack = this.mayDoubt && this.chance(0.3);
    this.server = new Server(this, this.chance(0.5));
    this.keys = this.chance(0.7) ? ['k'] : ['k', 'k/below'];
    const expiry = this.chance(0.5) ? 1 : 2;
    this.store = new subject.MemoryStore({ contention: this.contention, clock: this.clock, expiry });
    this.note(() => `${this.contention}, lock-delay ${this.lockDelay}, expiry x${expiry}, keys ${this.keys}`);
    this.workload = system.begin(this);
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

  /** A number that comes once in a run, each larger than those before. */
  nextNumber(): number {
    this.#serial += 1;
    return this.#serial;
  }

  note(line: () => string): void {
    if (this.#trace) this.lines.push(`${this.clock.now().toFixed(1).padStart(9)} ms  ${line()}`);
  }

  violate(rule: string, detail: string): void {
    this.#violations.push({ rule, at: this.clock.now(), detail });
  }

  /** The earliest first. */
  get violations(): Violation[] {
    return [...(this.workload.violations ?? []), ...this.#violations].sort((a, b) => a.at - b.at);
  }

  spawn(): void {
    const process = spawn(this, this.processes.length + 1);
    this.processes.push(process);
    this.workload.start(process);
  }

  get alive(): Process[] {
    return this.processes.filter(({ dead }) => !dead);
  }

  /** After every event. */
  look(): void {
    this.workload.look?.();
  }

  /** Until then the operator deletes a record every now and then. */
  takeUntil(end: number): void {
    this.clock.after(this.between(10, 120), () => {
      if (this.clock.now() >= end) return;
      const records = this.store.records().filter(({ session }) => session !== undefined);
      const record = this.pick(records);
      if (records.length > 0) {
        this.store.commit({ when: [], then: [{ remove: record.key }] });
        this.note(() => `-- record ${record.key} is deleted`);
      }
      this.takeUntil(end);
    });
  }

  setNetwork(process: Process, conditions: Partial<NetworkConditions>): void {
    process.network.conditions = this.well ? calm : { ...calm, ...conditions };
  }

  /** Whether a newcomer would meet a lock-delay. */
  isHeldBack(key: string): boolean {
    const session = this.store.openSession({ name: 'newcomer', ttl: TTL, lockDelay: 0 });
    const put = { put: key, value: new Uint8Array(), session };
    const result = this.store.commit({ when: [{ key, is: 'absent' }], then: [put] });
    if (result.ok) this.store.commit({ when: [], then: [{ remove: key }] });
    this.store.closeSession(session);
    return !result.ok && result.why === 'delayed';
  }
}
