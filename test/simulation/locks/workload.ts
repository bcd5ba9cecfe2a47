import type { Commit, Grant } from 'holdfast';
import { LockHistory } from '../../../src/testing/lock-history.ts';
import { type LockHolder, LockInvariants } from '../../../src/testing/lock-invariants.ts';
import { Callers } from '../callers.ts';
import type { Process } from '../process.ts';
import type { Violation, Workload } from '../system.ts';
import type { World } from '../world.ts';
import { Claims } from './claims.ts';
import { Records } from './records.ts';
import { Worker } from './worker.ts';
import { DATA, tokenIn } from './writes.ts';

/** Milliseconds after which a watch has told that a record is gone, when all is well. */
const TOLD = 40;

/** Callers in every process that want locks, scoped and standing ones, and write under them. */
export class LockWorkload implements Workload {
  readonly world: World;
  readonly #callers: Callers;
  readonly #claims = new Map<Process, Claims>();
  readonly #invariants: ReadonlyMap<string, LockInvariants>;
  readonly #histories: ReadonlyMap<string, LockHistory>;
  readonly #records: Records;
  /** Grants that somebody has looked at and found not to be held. */
  readonly #over = new WeakSet<Grant>();

  constructor(world: World) {
    this.world = world;
    this.#callers = new Callers(world);
    const now = (): number => world.clock.now();
    const operated = world.mayOperate;
    this.#invariants = new Map(world.keys.map((key) => [key, new LockInvariants({ now, operated })]));
    this.#histories = new Map(world.keys.map((key) => [key, new LockHistory({ now })]));
    this.#records = new Records(world, (process) => this.claims(process));
  }

  start(process: Process): void {
    const { world } = this;
    for (const key of world.keys) {
      this.#employ(process, key, world.chance(0.3) ? 'standing' : 'scoped');
      if (world.chance(0.4)) this.#employ(process, key, 'scoped too');
    }
  }

  /** Who believes what? A process that cannot run cannot look. */
  look(): void {
    const { keys, processes, well } = this.world;
    for (const key of keys) {
      const believers: LockHolder[] = [];
      for (const process of processes) if (process.clock.running) believers.push(...this.#look(process, key));
      this.#of(key).believed(believers);
      if (well) this.#records.check(key, believers);
    }
  }

  /** Somebody has this grant in hands, asked for at some time. The same one may be met again and again. */
  meet(process: Process, grant: Grant, asked: number, isScoped = false): void {
    const { world } = this;
    const { name } = process;
    const { grants } = this.claims(process);
    if (grants.has(grant)) return;
    grants.add(grant);
    const { key, token } = grant;
    // What was acquired for a caller before this one, and handed on or inherited from who gave up, an operator may have
    // taken away without our knowing yet.
    this.history(key)
      .acquiring(name, world.mayOperate ? 0 : asked)
      .granted(token);
    const isHandOff = (token & 0xffffn) > 0n;
    // It is watched from when somebody is in line, and then takes its time.
    const told = world.clock.now() - TOLD;
    if (world.mayTake && world.healed && isHandOff && asked > 0 && asked <= told) {
      // A standing claim may have been handed it long ago; who asked for himself has it from this moment on.
      this.#of(key).handedOn({ client: name, token }, isScoped ? told : asked);
    }
    this.#of(key).granted({ client: name, token });
    world.note(() => `${name} holds ${key}, token ${token}`);
  }

  accepted({ then }: Commit, { name }: Process): void {
    const put = then.find((mutation) => mutation.put?.endsWith(DATA));
    if (put?.put === undefined) return;
    const token = tokenIn(Buffer.from(put.value).toString());
    this.#of(put.put.slice(0, -DATA.length)).accepted({ client: name, token });
  }

  restored(): void {
    for (const invariants of this.#invariants.values()) invariants.restored();
  }

  hungry(): readonly string[] {
    return this.#callers.hungry();
  }

  ended(): Promise<unknown> {
    return this.#callers.ended();
  }

  /** Whether what was seen can have happened in some order at all. */
  judge(): void {
    const { world } = this;
    // What was written is gone, and revisions come again.
    if (world.server.restored) return;
    for (const [key, history] of this.#histories) {
      const verdict = history.check({ beliefs: !world.mayOperate });
      if (!verdict.ok) world.violate('no order explains what was seen', `${key}: ${verdict.message}`);
    }
  }

  keeps(key: string): boolean {
    return key.endsWith(DATA);
  }

  get violations(): Violation[] {
    return [...this.#invariants].flatMap(([key, { violations }]) =>
      violations.map((violation) => ({ ...violation, detail: `${key}: ${violation.detail}` })),
    );
  }

  get turns(): number {
    return this.#callers.turns;
  }

  /** What the callers saw of a key, to be put in order when the run is over. */
  history(key: string): LockHistory {
    return this.#histories.get(key) as LockHistory;
  }

  claims(process: Process): Claims {
    const claims = this.#claims.get(process) ?? new Claims();
    this.#claims.set(process, claims);
    return claims;
  }

  #employ(process: Process, key: string, kind: 'standing' | 'scoped' | 'scoped too'): void {
    this.#callers.repeat(process, `${process.name}/${key} (${kind})`, (onTurn) =>
      new Worker(this, process, key, onTurn).work(kind === 'standing'),
    );
  }

  #look(process: Process, key: string): LockHolder[] {
    const { name, stopping, sync } = process;
    const { grants, standing } = this.claims(process);
    // A standing claim may get the lock while nobody asks.
    if (standing.has(key) && !stopping.signal.aborted) {
      const { grant } = sync.lock(key);
      if (grant !== undefined) this.meet(process, grant, 0);
    }
    const believers: LockHolder[] = [];
    for (const grant of grants) {
      if (grant.key !== key) continue;
      const { held, token } = grant;
      if (held) {
        believers.push({ client: name, token });
        this.history(key).looked(name, token);
        if (!this.world.mayDoubt && this.#over.has(grant)) {
          this.world.violate('a grant revived', `${key}: ${token}`);
        }
      } else this.#over.add(grant);
    }
    return believers;
  }

  #of(key: string): LockInvariants {
    return this.#invariants.get(key) as LockInvariants;
  }
}
