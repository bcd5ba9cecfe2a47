import type { Claim, Commit } from 'holdfast';
import { type LockHolder, LockInvariants } from '../../../src/testing/lock-invariants.ts';
import { Callers } from '../callers.ts';
import type { Process } from '../process.ts';
import type { Violation, Workload } from '../system.ts';
import type { World } from '../world.ts';
import { Claimant, DATA } from './claimant.ts';
import { MEMBERS, Presence } from './presence.ts';
import { PROMISED, Promises } from './promises.ts';

/** Milliseconds after which what a lost request has left behind is gone, when all is well: the longest pause after a refusal, and a look. */
const LEFTOVER = 2_500;

/** Callers in every process that claim keys, write under them and with them, and say that they are there. */
export class ClaimWorkload implements Workload {
  readonly world: World;
  readonly promises: Promises;
  readonly #callers: Callers;
  readonly #invariants: ReadonlyMap<string, LockInvariants>;
  /** Which process somebody may still believe in them in. */
  readonly #claims = new Map<Claim, Process>();
  readonly #presences = new Map<Process, Presence>();
  /** When the network of a process last repeated what it was asked. */
  readonly #repeatedAt = new Map<Process, number>();
  /** How many callers of a process want a key, hold it or give it back. */
  readonly #wanted = new Map<string, number>();
  /** Since when records stand that nobody wants. */
  readonly #unwanted = new Map<string, number>();

  constructor(world: World) {
    this.world = world;
    this.promises = new Promises(world);
    this.#callers = new Callers(world);
    const options = { now: () => world.clock.now(), operated: world.mayOperate };
    this.#invariants = new Map(world.keys.map((key) => [key, new LockInvariants(options)]));
  }

  start(process: Process): void {
    const { world } = this;
    const { name, sync } = process;
    const presence = new Presence(world, process);
    this.#presences.set(process, presence);
    this.#callers.repeat(process, `${name}'s presence`, async (onTurn) => {
      await presence.work();
      onTurn();
    });
    for (const key of world.keys) {
      this.#employ(process, sync, key, 'itself');
      if (world.chance(0.2)) this.#employ(process, sync, key, 'once more');
      // Another session of the same process.
      if (world.chance(0.2)) this.#employ(process, this.#fork(process), key, 'by a fork');
    }
  }

  /** Who believes what? A process that cannot run cannot look. */
  look(): void {
    const { keys, well, clock, alive } = this.world;
    for (const process of alive) {
      if (process.network.conditions.repeat > 0) this.#repeatedAt.set(process, clock.now());
    }
    for (const key of keys) {
      const believers: LockHolder[] = [];
      for (const [claim, process] of this.#claims) {
        if (claim.key !== key) continue;
        if (claim.signal.aborted) this.#claims.delete(claim);
        else if (process.clock.running && claim.held)
          believers.push({ client: process.name, token: claim.token });
      }
      this.#of(key).believed(believers);
      if (well) this.#lookFor(key);
    }
  }

  /** Whether something may have been asked twice since then: heard of the second time only, a refusal says nothing about the first. */
  repeatedSince(process: Process, at: number): boolean {
    return (this.#repeatedAt.get(process) ?? Number.NEGATIVE_INFINITY) >= at;
  }

  granted(process: Process, claim: Claim): void {
    const { world } = this;
    const { key, token } = claim;
    if (!claim.held && !claim.signal.aborted) {
      world.violate('a claim was handed out that is not held', `${process.name}: ${key}, ${token}`);
    }
    this.#claims.set(claim, process);
    this.#of(key).granted({ client: process.name, token });
    world.note(() => `${process.name} holds ${key}, token ${token}`);
  }

  /** For as long as this takes, a record may stand there in the name of this process. */
  async wants<T>(process: Process, key: string, work: Promise<T>): Promise<T> {
    const name = `${process.name} ${key}`;
    this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1);
    try {
      return await work;
    } finally {
      this.#wanted.set(name, (this.#wanted.get(name) ?? 0) - 1);
    }
  }

  accepted({ then }: Commit, { name }: Process): void {
    for (const { put, value, session } of then) {
      if (put === undefined) continue;
      this.world.note(() => `${name} has written ${put}`);
      if (put.startsWith(PROMISED)) this.promises.accepted(put);
      if (put.startsWith(MEMBERS) && session === undefined) {
        this.world.violate('a presence that outlasts its session', put);
      }
      if (!put.endsWith(DATA)) continue;
      const [token = ''] = Buffer.from(value).toString().split('.');
      this.#of(put.slice(0, -DATA.length)).accepted({ client: name, token: BigInt(token) });
    }
  }

  restored(): void {
    for (const invariants of this.#invariants.values()) invariants.restored();
  }

  hungry(): readonly string[] {
    const { alive, mayOperate, server } = this.world;
    const hungry = this.#callers.hungry();
    // What operators took or brought back is not put right again.
    if (hungry.length > 0 || mayOperate || server.restored) return hungry;
    return alive.flatMap((process) => this.#presences.get(process)?.missing ?? []);
  }

  ended(): Promise<unknown> {
    return this.#callers.ended();
  }

  isInTheWay(key: string): boolean {
    return this.#invariants.has(key) || key.startsWith(MEMBERS);
  }

  keeps(key: string): boolean {
    return key.startsWith(PROMISED) || key.endsWith(DATA);
  }

  get violations(): Violation[] {
    return [...this.#invariants].flatMap(([key, { violations }]) =>
      violations.map((violation) => ({ ...violation, detail: `${key}: ${violation.detail}` })),
    );
  }

  get turns(): number {
    return this.#callers.turns;
  }

  #employ(process: Process, sync: Process['sync'], key: string, how: string): void {
    const claimant = new Claimant(this, process, sync, key);
    this.#callers.repeat(process, `${process.name}/${key} (${how})`, (onTurn) => claimant.work(onTurn));
  }

  #fork(process: Process): Process['sync'] {
    const fork = process.sync.fork();
    fork.events$.subscribe((event) => {
      if (event.type === 'trouble' && (event.error as { code?: unknown }).code === 'store-reset') {
        process.noticed = true;
      }
    });
    return fork;
  }

  /** A record that a process does not know of would keep everybody out for as long as its session lives. */
  #lookFor(key: string): void {
    const { store, alive, clock, server, well } = this.world;
    const record = store.records(key).find((other) => other.key === key);
    const owner = store.sessions().find(({ id }) => id === record?.session)?.name;
    const process = alive.find(({ name }) => name === owner);
    const isWanted =
      process === undefined || process.noticed || (this.#wanted.get(`${owner} ${key}`) ?? 0) > 0;
    // What a restored copy brings back is found by whoever asks again.
    if (!well || record === undefined || isWanted || server.restored) {
      this.#unwanted.delete(key);
      return;
    }
    const what = `${key} of ${record.session}`;
    const since = this.#unwanted.get(key) ?? clock.now();
    this.#unwanted.set(key, since);
    if (clock.now() - since > LEFTOVER) this.world.violate('a record that nobody wants', what);
  }

  #of(key: string): LockInvariants {
    return this.#invariants.get(key) as LockInvariants;
  }
}
