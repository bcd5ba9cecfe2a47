import type { LockHolder } from '../../../src/testing/lock-invariants.ts';
import type { Process } from '../process.ts';
import { TTL } from '../timing.ts';
import type { World } from '../world.ts';
import type { Claims } from './claims.ts';

/** Milliseconds after which the next in line has noticed that it is the next, when all is well. */
const NOTICE = 150;
/** Milliseconds after which what a lost request has left behind is gone, when all is well. */
const LEFTOVER = 1_200;
/** Milliseconds after which a holder knows that its record is gone, also where no watch told. */
const UNNOTICED = TTL + NOTICE;
/** What it may take longer after several looks in a row were lost, as when a store was restored: the longest pause between two. */
const LOOK_AGAIN = 1_000;

/** What stands in the store beside what processes know of it. What may be so for a while only is told when it lasts. */
export class Records {
  readonly #world: World;
  readonly #claims: (process: Process) => Claims;
  readonly #since = new Map<string, number>();

  constructor(world: World, claims: (process: Process) => Claims) {
    this.#world = world;
    this.#claims = claims;
  }

  /** When all is well, whoever is next notices soon, and what nobody wants is not left standing. */
  check(key: string, believers: readonly LockHolder[]): void {
    const { store, contention, alive, healed, server } = this.#world;
    const path = contention === 'queue' ? `${key}/.lock/` : key;
    const records = store.records(path).filter((record) => record.session !== undefined);
    const [head] = records.toSorted((a, b) => Number(a.created - b.created));
    const owners = new Map<string | undefined, string>(store.sessions().map(({ id, name }) => [id, name]));
    const seen = new Set<string>();
    for (const record of records) {
      if (contention === 'race' && record.key !== key) continue;
      const owner = owners.get(record.session);
      const process = alive.find(({ name }) => owner === name);
      if (process === undefined || process.noticed) continue;
      if (believers.some(({ client }) => client === process.name)) continue;
      const claims = this.#claims(process);
      const asks = claims.asksFor(key);
      // What a restored copy brings back is found by whoever asks again.
      if (!asks && !claims.standing.has(key) && !server.restored) {
        this.#lasts(seen, `${record.key} of ${record.session}`, LEFTOVER, 'a record that nobody wants');
      }
      const isNext = record === head && contention === 'queue' && believers.length === 0;
      if (healed && asks && isNext) {
        this.#lasts(seen, `${record.key} is next`, NOTICE, 'nobody noticed a turn');
      }
    }
    const unnoticed = server.restored ? UNNOTICED + LOOK_AGAIN : UNNOTICED;
    for (const { client } of believers) {
      if (records.some(({ session }) => owners.get(session) === client)) continue;
      this.#lasts(seen, `${path} of ${client}`, unnoticed, 'a lock is believed in without a record');
    }
    for (const what of this.#since.keys()) {
      if (what.startsWith(path) && !seen.has(what)) this.#since.delete(what);
    }
  }

  #lasts(seen: Set<string>, what: string, bound: number, rule: string): void {
    const now = this.#world.clock.now();
    const since = this.#since.get(what) ?? now;
    this.#since.set(what, since);
    seen.add(what);
    if (now - since > bound) this.#world.violate(rule, what);
  }
}
