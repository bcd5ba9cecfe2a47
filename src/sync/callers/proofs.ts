import type { Clock } from '../../async/clock.ts';
import type { Condition, Revision } from '../../contract/backend.ts';
import type { Holding } from '../contender/strategy.ts';
import type { Grant, Proof } from './grant.ts';

/**
 * For so many TTLs after its end a record may stand whose removal is not known of: Consul ends a session up to two TTLs after the
 * last renewal, and a new leader of its servers begins to count anew.
 */
const TTLS = 4;

/** A holding that ended while its record may still stand. */
interface Ended {
  readonly revision: Revision;
  /** The hand-off that was lost: its proof is the store's to judge. `undefined` if the last one was given back. */
  readonly lost: number | undefined;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/**
 * Which grant a condition on a lock's record speaks of, by what it says: it may have been copied, cloned or written down.
 * Callers of one process hand a record on as it is, so that the store cannot tell a former holder's proof from the present
 * one's. What is not known here the store decides.
 */
export class Proofs {
  readonly #clock: Clock;
  /** Of the records that stand in our name: to whom it was handed last. */
  readonly #latest = new Map<string, Grant>();
  /** In the order in which they may be forgotten, as far as their TTLs are alike. */
  readonly #ended = new Map<string, Ended>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many holdings are kept, those that have ended included. For tests. */
  get size(): number {
    this.#forget();
    return this.#latest.size + this.#ended.size;
  }

  granted(grant: Grant): void {
    this.#latest.set(grant.isOwner.key, grant);
  }

  /** The record is known to be gone, and no proof of it can ever hold again. */
  removed({ record, revision }: Holding): void {
    if (this.#latest.get(record)?.isOwner.revision === revision) this.#latest.delete(record);
  }

  /** The holding is over, but its record may still stand. `grant` is its last one. */
  ended(grant: Grant, ttl: number): void {
    const { key, revision, handOff } = grant.isOwner;
    if (this.#latest.get(key) !== grant) return;
    this.#latest.delete(key);
    this.#forget();
    const lost = grant.ended === 'released' ? undefined : handOff;
    // There never was another proof, and the store decides on this one.
    if (lost === 0) return;
    this.#ended.delete(key);
    this.#ended.set(key, { revision, lost, until: this.#clock.now() + TTLS * ttl });
  }

  /** The grant whose proof it is; `over`, if that one was given back; `undefined`, if the store has to decide. */
  of(condition: Condition | Proof): Grant | 'over' | undefined {
    const { key, revision, handOff = 0 } = condition as Partial<Proof> & { readonly key: string };
    if (revision === undefined) return undefined;
    const latest = this.#latest.get(key);
    if (latest?.isOwner.revision === revision) {
      return latest.isOwner.handOff === handOff && latest.ended !== 'released' ? latest : 'over';
    }
    this.#forget();
    const ended = this.#ended.get(key);
    return ended?.revision === revision && ended.lost !== handOff ? 'over' : undefined;
  }

  #forget(): void {
    if (this.#ended.size === 0) return;
    const now = this.#clock.now();
    for (const [key, { until }] of this.#ended) {
      if (until > now) return;
      this.#ended.delete(key);
    }
  }
}
