import type { Commit, Condition, Revision, StoredRecord } from '../../contract/backend.ts';

/** A put in the name of our session. */
export interface OwnPut {
  readonly key: string;
  readonly session: string;
  /**
   * What the put was conditioned on, of the same key: that nothing was there, or a record of this revision. Consul keeps the
   * revision when the same session puts the same value again, so without either condition its answer says nothing.
   */
  readonly over: 'nothing' | Revision | undefined;
}

const NONE: readonly OwnPut[] = [];

export function ownPutsIn({ when, then }: Commit): readonly OwnPut[] {
  let found: OwnPut[] | undefined;
  for (const { put: key, session } of then) {
    if (key === undefined || session === undefined) continue;
    found ??= [];
    found.push({ key, session, over: overIn(when, key) });
  }
  return found ?? NONE;
}

function overIn(when: readonly Condition[], key: string): OwnPut['over'] {
  for (const condition of when) {
    if (condition.key !== key) continue;
    if (condition.revision !== undefined) return condition.revision;
    if (condition.is === 'absent') return 'nothing';
  }
  return undefined;
}

interface Trace {
  /** Of the record that stands there in our name, as far as we know. */
  known: Revision | undefined;
  /** The latest revision when the first of the puts was sent that a record there can come from, and of which that is not known. */
  floor: Revision | undefined;
  /** The largest revision that a record there had before it went. Whatever comes later is younger, however late it comes. */
  reached: Revision | undefined;
  /** What those puts were over: it may still stand there, as it was. */
  over: readonly Revision[] | undefined;
  /** One of them never got an answer: it may be applied late, and nobody is told when. */
  lost: boolean;
  /** The mark of the last change. */
  at: number;
}

/** Keys with a put that never got an answer, of which something is remembered. */
const MOST = 10_000;

/** Below every revision. */
const NEVER = -1n;

/**
 * What this process has put in the name of its newest session, as far as it says which revisions a record there can have. Of
 * a key with nothing there nothing is remembered, unless a put had no answer; and of none beyond the session.
 *
 * It learns of a put when that is over, since no lock puts twice at a time: of what was refused it never hears.
 */
export class OwnPuts {
  readonly #traces = new Map<string, Trace>();
  readonly #lost = new Set<string>();
  readonly #most: number;
  #session: string | undefined;
  #mark = 0;
  /** The least floor of what was forgotten for want of room. */
  #forgotten: Revision | undefined;

  constructor(most = MOST) {
    this.#most = most;
  }

  /** Of how many keys something is remembered. */
  get size(): number {
    return this.#traces.size;
  }

  /** To be taken before a look at the store. */
  get mark(): number {
    return this.#mark;
  }

  begin(session: string): void {
    this.#session = session;
    this.#traces.clear();
    this.#lost.clear();
    this.#forgotten = undefined;
  }

  /** The put was applied, and its record got this revision. */
  applied({ key, session }: OwnPut, revision: Revision): void {
    if (session !== this.#session) return;
    const trace = this.#traceOf(key);
    trace.known = revision;
    this.#rest(key, trace);
  }

  /**
   * What stands there now is not what its answer tells of, if there is anything: a look has to tell.
   *
   * @param latest the largest revision that was complete before the put was sent.
   */
  unclear(put: OwnPut, latest: Revision): void {
    this.#open(put, latest);
  }

  /** It never got an answer, and may be applied late. */
  failed(put: OwnPut, latest: Revision): void {
    const trace = this.#open(put, latest);
    if (trace === undefined) return;
    const { key } = put;
    trace.lost = true;
    this.#lost.add(key);
    if (this.#lost.size <= this.#most) return;
    const [oldest = key] = this.#lost;
    this.#lost.delete(oldest);
    const forgotten = this.#traces.get(oldest);
    this.#forgotten = lower(forgotten?.floor ?? NEVER, this.#forgotten);
    if (forgotten === undefined) return;
    forgotten.lost = false;
    this.#rest(oldest, forgotten);
  }

  removed(key: string): void {
    const trace = this.#traces.get(key);
    if (trace !== undefined) this.#gone(key, trace, undefined);
  }

  /**
   * Learns from a look that began at this mark. Gives a revision only if the record is too old to be ours: one that the store
   * had reached before.
   */
  look(key: string, record: StoredRecord | undefined, mark: number): Revision | undefined {
    const trace = this.#traces.get(key);
    // What was put since may not have been there yet, and what was seen may be gone.
    if (trace === undefined || trace.at > mark) return undefined;
    if (record === undefined || record.session !== this.#session) {
      this.#gone(key, trace, record?.revision);
      return undefined;
    }
    const { revision } = record;
    const { known, floor, reached, over } = trace;
    // Somebody may have written over what we put, but nothing makes it older.
    if (known !== undefined && revision < known) return known;
    if (known === undefined && reached !== undefined && revision <= reached) return reached;
    if (known === undefined && floor !== undefined && revision <= floor && !over?.includes(revision)) {
      return floor;
    }
    trace.known = revision;
    this.#rest(key, trace);
    return undefined;
  }

  #open({ key, session, over }: OwnPut, latest: Revision): Trace | undefined {
    if (session !== this.#session) return undefined;
    const trace = this.#traceOf(key);
    const least = over === undefined ? NEVER : lower(latest, this.#forgotten);
    trace.floor = lower(least, trace.floor);
    if (typeof over === 'bigint') trace.over = [...(trace.over ?? []), over];
    return trace;
  }

  #traceOf(key: string): Trace {
    let trace = this.#traces.get(key);
    if (trace === undefined) {
      trace = {
        known: undefined,
        floor: undefined,
        reached: undefined,
        over: undefined,
        lost: false,
        at: 0,
      };
      this.#traces.set(key, trace);
    }
    trace.at = ++this.#mark;
    return trace;
  }

  /** A look that began before may show it yet. */
  #gone(key: string, trace: Trace, other: Revision | undefined): void {
    trace.at = ++this.#mark;
    for (const revision of [trace.known, other]) {
      if (revision !== undefined && revision > (trace.reached ?? NEVER)) trace.reached = revision;
    }
    trace.known = undefined;
    this.#rest(key, trace);
  }

  /** Every put was answered, and what stands there is known: what they could have come to is of no use any more. */
  #rest(key: string, trace: Trace): void {
    if (trace.lost) return;
    trace.floor = undefined;
    trace.over = undefined;
    trace.reached = undefined;
    if (trace.known === undefined) this.#traces.delete(key);
  }
}

function lower(a: Revision, b: Revision | undefined): Revision {
  return b === undefined || a < b ? a : b;
}
