import { randomUUID } from 'node:crypto';
import { systemClock } from '../../async/clock.ts';
import { clearTimeout, setTimeout, sleep } from '../../async/platform.ts';
import { within } from '../../async/within.ts';
import type { Row } from './database.ts';

/** Seconds for which the database keeps an interest, and milliseconds after which it is written anew. */
const KEPT = 90;
const RENEWED_EVERY = 30_000;
/** Milliseconds. What the server does not take back in time runs out by itself. */
const TAKEN_BACK_WITHIN = 250;
/** Milliseconds between looks whether those are over who may not have seen it. */
const SETTLE_EVERY = 100;

interface Place {
  count: number;
  /** The number of notices from which on nothing in it is missed; `undefined` as long as that is not certain. */
  since: number | undefined;
  readonly waiting: Set<() => void>;
}

export interface InterestsHost {
  readonly schema: string;
  /** As `watch_1`, at the primary that we talk to. */
  watch(listener: string, places: readonly string[], seconds: number): Promise<unknown>;
  query(text: string, values: readonly unknown[]): Promise<readonly Row[]>;
  /** How many notices have come. */
  count(): number;
}

/**
 * Written down in the database, since a change is told of only where somebody wants to hear of it. A transaction that was under
 * way before may not have seen that: until all of those are over, nobody relies on being told.
 */
export class Interests {
  readonly #host: InterestsHost;
  readonly #listener = randomUUID();
  readonly #places = new Map<string, Place>();
  #fresh = new Set<string>();
  #writing = false;
  #renewing: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();
  #written = false;

  constructor(host: InterestsHost) {
    this.#host = host;
  }

  /**
   * @param settled called once when nothing is missed any more, if that is not so now.
   * @returns the number of notices since when nothing is missed, and what takes it back.
   */
  add(
    name: string,
    settled: () => void,
  ): { readonly since: number | undefined; readonly cancel: () => void } {
    const place = this.#places.get(name) ?? this.#begin(name);
    place.count += 1;
    if (place.since === undefined) place.waiting.add(settled);
    return {
      since: place.since,
      cancel: () => {
        place.count -= 1;
        place.waiting.delete(settled);
      },
    };
  }

  /** They may not be written down where we are told of changes now: nobody relies on that any more until they are. */
  again(): void {
    for (const [name, place] of this.#places) {
      place.since = undefined;
      this.#fresh.add(name);
    }
    this.#writeFresh();
  }

  async end(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#renewing);
    if (!this.#written) return;
    const takenBack = this.#host.query(`SELECT ${this.#host.schema}.unwatch_1($1)`, [this.#listener]);
    await within(systemClock, TAKEN_BACK_WITHIN, takenBack);
  }

  #begin(name: string): Place {
    const place: Place = { count: 0, since: undefined, waiting: new Set() };
    this.#places.set(name, place);
    this.#fresh.add(name);
    this.#writeFresh();
    this.#renewing ??= setTimeout(() => this.#renew(), RENEWED_EVERY);
    return place;
  }

  #writeFresh(): void {
    if (this.#fresh.size > 0 && !this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#fresh.size > 0 && !this.#ending.signal.aborted) {
        const names = [...this.#fresh];
        this.#fresh = new Set();
        try {
          await this.#settle(names);
        } catch {
          // It is tried again with the next renewal; until then everybody looks from time to time.
          if (!this.#ending.signal.aborted)
            for (const name of names) if (this.#places.has(name)) this.#fresh.add(name);
          return;
        }
      }
    } finally {
      this.#writing = false;
    }
  }

  async #settle(names: readonly string[]): Promise<void> {
    this.#written = true;
    await this.#host.watch(this.#listener, names, KEPT);
    const [first] = await this.#host.query('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS at', []);
    const horizon = BigInt(String(first?.at));
    for (;;) {
      const [now] = await this.#host.query('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS at', []);
      if (BigInt(String(now?.at)) >= horizon || this.#ending.signal.aborted) break;
      await sleep(SETTLE_EVERY, undefined, { signal: this.#ending.signal });
    }
    const since = this.#host.count();
    for (const name of names) {
      const place = this.#places.get(name);
      if (place === undefined) continue;
      place.since = since;
      for (const settled of [...place.waiting]) settled();
      place.waiting.clear();
    }
  }

  /** Those that nobody had for so long are forgotten, and written down anew when they are wanted again. */
  #renew(): void {
    this.#renewing = undefined;
    for (const [name, { count }] of this.#places) if (count === 0) this.#places.delete(name);
    if (this.#places.size === 0 || this.#ending.signal.aborted) return;
    this.#renewing = setTimeout(() => this.#renew(), RENEWED_EVERY);
    this.#host.watch(this.#listener, [...this.#places.keys()], KEPT).then(
      () => this.#writeFresh(),
      // They may run out.
      () => this.again(),
    );
  }
}
