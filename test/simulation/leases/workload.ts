import type { Commit } from 'holdfast';
import { LockInvariants } from '../../../src/testing/lock-invariants.ts';
import { Callers } from '../callers.ts';
import type { Process } from '../process.ts';
import type { Violation, Workload } from '../system.ts';
import type { World } from '../world.ts';
import { Ledger } from './ledger.ts';
import { Member, type Role } from './member.ts';
import { Operator } from './operator.ts';
import { isBad, keys, type ShardLease } from './pool.ts';
import { Run } from './run.ts';
import { Shares } from './shares.ts';

/** Processes that work on the items of one pool, in every way that there is. */
export class LeaseWorkload implements Workload {
  readonly world: World;
  readonly ledger: Ledger;
  readonly LeasePool: typeof import('holdfast/leases').LeasePool;
  turns = 0;
  readonly #callers: Callers;
  readonly #members: Member[] = [];
  readonly #runs = new Set<Run>();
  readonly #known = new WeakSet<ShardLease>();
  readonly #invariants = new Map<string, LockInvariants>();
  readonly #shares: Shares;
  readonly #leaving = new Map<Process, Promise<void>>();
  /** All processes share the items, by `balance`. */
  readonly #even: boolean;
  #healed = false;

  constructor(world: World) {
    this.world = world;
    ({ LeasePool: this.LeasePool } = world.subject.modules.leases as typeof import('holdfast/leases'));
    this.#callers = new Callers(world);
    this.#even = world.chance(0.5);
    this.ledger = new Ledger(world, {
      granted: (process, id) => this.#shares.granted(process, id),
      givenBack: (process, id, token) => this.#givenBack(process, id, token),
    });
    this.#shares = new Shares(world, this.#even);
    if (world.chance(0.4)) {
      world.clock.after(world.between(200, world.harm), () => {
        world.note(() => '-- somebody joins');
        world.spawn();
      });
    }
  }

  start(process: Process): void {
    const { world } = this;
    const roles: readonly Role[] = this.#even ? ['balance'] : ['balance', 'work', 'wait', 'take'];
    const weight = world.chance(0.7) ? 1 : world.pick([1, 2, 3]);
    const member = new Member(this, process, world.pick(roles), weight);
    this.#members.push(member);
    const operator = new Operator(this, process);
    this.#callers.repeat(process, `${process.name} (${member.role})`, () => member.live());
    this.#callers.repeat(process, `${process.name} (operator)`, () => operator.act());
    if (world.chance(0.15)) world.clock.after(world.between(500, world.harm), () => this.#leave(process));
  }

  isKnown(lease: ShardLease): boolean {
    return this.#known.has(lease);
  }

  /** Somebody has a lease in hands that nobody had before. */
  async run({ process, pool, maxItems }: Member, lease: ShardLease, yieldTimeout?: number): Promise<void> {
    const { world } = this;
    const { id, token } = lease;
    this.#known.add(lease);
    this.turns += 1;
    world.note(() => `${process.name} holds ${id}, token ${token}, at ${lease.position?.at}`);
    this.#of(id).granted({ client: process.name, token });
    this.ledger.begun(id, token, lease.position?.at);
    const others = [...this.#runs].filter((run) => run.pool === pool && run.lease.id === id);
    if (yieldTimeout !== undefined && others.length > 0) {
      world.violate('a process works on an item twice', `${process.name}: ${id}`);
    }
    if ((pool?.status.held ?? 0) > maxItems) {
      world.violate('more items than a worker may have', `${process.name}: ${pool?.status.held}`);
    }
    const run = new Run(this, process, pool, lease, yieldTimeout);
    this.#runs.add(run);
    try {
      await run.work(() => this.#even && world.well);
    } finally {
      this.#runs.delete(run);
      world.note(() => `${process.name} is done with ${id}, token ${token}`);
    }
  }

  look(): void {
    if (this.world.well && !this.#healed) this.#heal();
    const believers = new Map<string, Run[]>();
    for (const run of this.#runs) {
      const { process, lease } = run;
      if (!process.clock.running) continue;
      run.look();
      if (!lease.held) continue;
      const before = believers.get(lease.id);
      if (before === undefined) believers.set(lease.id, [run]);
      else before.push(run);
    }
    for (const [id, runs] of believers) {
      if (runs.length > 1) {
        this.#of(id).believed(
          runs.map(({ process, lease }) => ({ client: process.name, token: lease.token })),
        );
      }
    }
    if (this.world.well) this.#shares.look(this.#present, [...believers.values()].flat());
  }

  accepted(commit: Commit, process: Process): void {
    this.ledger.accepted(commit, process);
  }

  restored(): void {
    for (const invariants of this.#invariants.values()) invariants.restored();
  }

  hungry(): readonly string[] {
    return this.#shares.lacking;
  }

  ended(): Promise<unknown> {
    const leaving = [...this.#leaving].filter(([process]) => !process.dead);
    return Promise.all([this.#callers.ended(), ...leaving.map(([, left]) => left)]);
  }

  keeps(key: string): boolean {
    return key.startsWith(keys.item('')) || key.startsWith(keys.position('')) || isBad(key);
  }

  get violations(): Violation[] {
    return [...this.#invariants].flatMap(([id, { violations }]) =>
      violations.map((violation) => ({ ...violation, detail: `${id}: ${violation.detail}` })),
    );
  }

  /** Those that are to have items. */
  get #present(): Member[] {
    return this.#members.filter(({ process }) => !process.dead && !this.#leaving.has(process));
  }

  #leave(process: Process): void {
    const { world } = this;
    if (world.well || this.#present.length < 2 || !this.#present.some((member) => member.process === process))
      return;
    world.note(() => `-- p${process.number} is stopped`);
    process.stopping.abort(new Error('gave up'));
    this.#leaving.set(process, process.sync.stop());
  }

  /** What stands in the place of a holder or a worker is for its operator to remove. */
  #heal(): void {
    this.#healed = true;
    const { store, alive } = this.world;
    // A connection that lost an answer is not well again: who waits on it for a change would wait for a minute.
    for (const { network } of alive) network.reset();
    for (const { key, session, value } of store.records()) {
      const isOurs = key.startsWith(keys.held('')) || key.startsWith(keys.worker(''));
      const isOwned = session !== undefined && Buffer.from(value).toString().startsWith('{');
      if (isOurs && !isOwned && !isBad(key)) store.commit({ when: [], then: [{ remove: key }] });
    }
  }

  #givenBack(process: Process, id: string, token: bigint): void {
    for (const run of this.#runs) {
      const { lease } = run;
      if (run.process !== process || lease.id !== id || lease.token !== token || !run.handled) continue;
      const { aborted, reason } = lease.signal;
      if (aborted && (reason as { code?: string }).code !== 'released') continue;
      this.world.violate('given back while it was worked on', `${process.name}: ${id}, ${token}`);
    }
  }

  #of(id: string): LockInvariants {
    const known = this.#invariants.get(id);
    if (known !== undefined) return known;
    const { clock, mayOperate } = this.world;
    const invariants = new LockInvariants({ now: () => clock.now(), operated: mayOperate });
    this.#invariants.set(id, invariants);
    return invariants;
  }
}
