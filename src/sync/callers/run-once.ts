import { TextDecoder } from 'node:util';
import type { CommitResult, Condition, StoredRecord } from '../../contract/backend.ts';
import { isSyncError, refused } from '../../contract/errors.ts';
import type { Names } from '../../contract/options.ts';
import { checkDuration, checkNames, invalid } from '../../contract/options.ts';
import { quoteKey } from '../../contract/quote.ts';
import { ACQUIRE, type AcquireOptions, type CallOptions } from './call-options.ts';
import type { CallersHost } from './callers-host.ts';
import type { Grant } from './grant.ts';
import type { SyncCommit } from './guarded-commit.ts';
import { type HoldHost, hold, type Work } from './hold.ts';
import { Limits, limited } from './limits.ts';

export interface RunOnceOptions extends AcquireOptions {
  /**
   * Milliseconds since the last run began, within which none begins. More than the clocks of the replicas differ by, and less than
   * the time from one tick to the next: half of that is a good choice. (ShedLock calls it `lockAtLeastFor`.)
   */
  readonly atLeast: number;
}

/** `not-obtained`: another one is running it, or the lock could not be had now. `recent`: the last run began within `atLeast`. */
export type RunOnceResult<T> =
  | { readonly ran: true; readonly value: T }
  | { readonly ran: false; readonly why: 'not-obtained' | 'recent' };

/** What is noted of the last run, beside the lock. */
interface LastRun {
  /** When it began, by the wall clock of who ran it, in milliseconds. */
  readonly at: number;
  /** For which scheduled time, if it was run for one. */
  readonly tick: number | undefined;
  /** The token of the grant under which it was noted. */
  readonly token: string;
}

interface Noted {
  readonly record: StoredRecord | undefined;
  readonly run: LastRun | undefined;
}

type CommitOptions = Pick<CallOptions, 'signal'>;

/** What is asked of the manager. */
export interface Locks {
  readonly name: string;
  /** Throws what is wrong with the options, before any I/O. */
  check(options: AcquireOptions): void;
  tryAcquire(key: string, options: AcquireOptions): Promise<Grant | undefined>;
  commit(commit: SyncCommit, options: CommitOptions): Promise<CommitResult>;
}

const RUN_ONCE: Names<RunOnceOptions> = { ...ACQUIRE, atLeast: true };
/** Of the record. A newer one is not ours to judge. */
const VERSION = 1;
/** How often the note is tried whose outcome is not known. */
const TRIES = 2;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Throws `invalid-option` that names the option. */
function checkRunOnce(options: RunOnceOptions): void {
  checkNames(options, RUN_ONCE);
  if (options.atLeast === undefined) {
    throw invalid('atLeast', 'is missing: in milliseconds, less than the time from one tick to the next');
  }
  checkDuration('atLeast', options.atLeast);
}

/** Clocks may differ, and go back: so the distance counts, in both directions. */
function isRecent(last: LastRun, now: number, atLeast: number): boolean {
  return Math.abs(now - last.at) < atLeast;
}

/**
 * Begins runs of which there may be only one: a run begins when its lock is held, and when it is noted, in a commit that fails where
 * the lock is not held any more or somebody else has noted one. So what has begun once begins nowhere else, also if it dies at once.
 */
export class OnceRuns {
  readonly #locks: Locks;
  readonly #host: Pick<CallersHost, 'clock' | 'keyspace' | 'keeper'>;
  readonly #holdHost: HoldHost;
  readonly #trouble: (error: unknown, key: string) => void;
  /** Under way in this process. */
  readonly #keys = new Set<string>();

  constructor(
    locks: Locks,
    host: Pick<CallersHost, 'clock' | 'keyspace' | 'keeper'>,
    holdHost: HoldHost,
    trouble: (error: unknown, key: string) => void,
  ) {
    this.#locks = locks;
    this.#host = host;
    this.#holdHost = holdHost;
    this.#trouble = trouble;
  }

  /** See `SyncManager.runOnce`. */
  async run<T>(key: string, options: RunOnceOptions, work: Work<T>): Promise<RunOnceResult<T>> {
    if (typeof work !== 'function') throw invalid('work', 'must be a function: runOnce(key, options, work)');
    checkRunOnce(options);
    const { atLeast, ...limits } = options;
    const { clock } = this.#host;
    const begun = await this.begin(key, limits, (last) => isRecent(last, clock.wall(), atLeast));
    if (typeof begun === 'string') return { ran: false, why: begun };
    try {
      return { ran: true, value: await hold(this.#holdHost, begun, work, limits) };
    } finally {
      this.finish(key);
    }
  }

  /**
   * The grant of a run that has begun, which ends with `finish`; or why there is none.
   *
   * @param tooSoon whether there must be none now, by the last run that is known. Perhaps asked twice.
   * @param tick the scheduled time that is noted, if there is one.
   */
  async begin(
    key: string,
    options: AcquireOptions,
    tooSoon: (last: LastRun) => boolean,
    tick?: number,
  ): Promise<Grant | 'not-obtained' | 'recent'> {
    this.#locks.check(options);
    const noteKey = noteKeyOf(key);
    this.#host.keyspace.lockPath(key);
    this.#host.keyspace.check(noteKey);
    if (this.#keys.has(key)) return 'not-obtained';
    this.#keys.add(key);
    let asked: Grant | 'not-obtained' | 'recent' | undefined;
    const limits = new Limits(this.#host.clock, options, `the lock ${quoteKey(key)} was not acquired`);
    try {
      const { signal: _, timeout: __, ...rest } = options;
      asked = await this.#ask(key, noteKey, { ...rest, signal: limits.signal }, tooSoon, tick);
      return asked;
    } finally {
      limits.end();
      if (asked === undefined || typeof asked === 'string') this.#keys.delete(key);
    }
  }

  /** Once the grant is over, or being given back. */
  finish(key: string): void {
    this.#keys.delete(key);
  }

  async #ask(
    key: string,
    noteKey: string,
    options: AcquireOptions,
    tooSoon: (last: LastRun) => boolean,
    tick: number | undefined,
  ): Promise<Grant | 'not-obtained' | 'recent'> {
    // Whoever comes late costs one read, and no write.
    let noted: Noted | undefined;
    if (this.#host.keeper.current !== undefined) {
      try {
        noted = await this.#look(noteKey, options);
      } catch (error) {
        if (!isSyncError(error, 'unavailable')) throw error;
        this.#trouble(error, key);
        return 'not-obtained';
      }
      if (noted.run !== undefined && tooSoon(noted.run)) return 'recent';
    }
    const grant = await this.#locks.tryAcquire(key, options);
    if (grant === undefined) return 'not-obtained';
    let runs = false;
    try {
      noted ??= await this.#look(noteKey, options);
      const due = noted.run === undefined || !tooSoon(noted.run);
      runs = due && (await this.#note(noteKey, noted, grant, tick, options));
      if (runs) return grant;
      return due && !grant.held ? 'not-obtained' : 'recent';
    } finally {
      // Within the caller's limits; it goes on in the background.
      if (!runs) await limited(this.#host.clock, options.signal, undefined, grant.release());
    }
  }

  /** Whether it is ours to run. */
  async #note(
    noteKey: string,
    { record }: Noted,
    grant: Grant,
    tick: number | undefined,
    options: CommitOptions,
  ): Promise<boolean> {
    const { name } = this.#locks;
    const { clock } = this.#host;
    const token = String(grant.token);
    const note = {
      v: VERSION,
      at: new Date(clock.wall()).toISOString(),
      ...(tick !== undefined && { tick: new Date(tick).toISOString() }),
      token,
      service: name,
    };
    const unchanged: Condition =
      record === undefined ? { key: noteKey, is: 'absent' } : { key: noteKey, revision: record.revision };
    const commit = {
      when: [grant.isOwner, unchanged],
      then: [{ put: noteKey, value: JSON.stringify(note) }],
    };
    for (let tries = 1; ; tries++) {
      let refused: boolean;
      try {
        const { ok } = await this.#locks.commit(commit, options);
        if (ok) return true;
        refused = true;
      } catch (error) {
        if (tries === TRIES || !isSyncError(error) || error.outcome !== 'unknown') throw error;
        refused = false;
      }
      // Whose note stands there tells what came of it. One that is still on its way meets the same conditions as the next.
      const { run } = await this.#look(noteKey, options);
      if (run?.token === token) return true;
      if (refused) return false;
    }
  }

  async #look(noteKey: string, options: CommitOptions): Promise<Noted> {
    const result = await this.#locks.commit({ read: { key: noteKey } }, options);
    const [record] = 'read' in result ? (result.read ?? []) : [];
    return { record, run: record && runIn(record) };
  }
}

/** Beside the lock, and not below it: some clients keep their contenders there. */
function noteKeyOf(key: string): string {
  return `${key}.last-run`;
}

function runIn({ key, value, session }: StoredRecord): LastRun {
  let found: { v?: unknown; at?: unknown; tick?: unknown; token?: unknown } | null | undefined;
  try {
    found = JSON.parse(decoder.decode(value));
  } catch {
    found = undefined;
  }
  const { v, at, tick, token } = typeof found === 'object' && found !== null ? found : {};
  if (v === VERSION && session === undefined && typeof token === 'string') {
    const run = {
      at: Date.parse(String(at)),
      tick: tick === undefined ? undefined : Date.parse(String(tick)),
      token,
    };
    if (!Number.isNaN(run.at) && !Number.isNaN(run.tick ?? 0)) return run;
  }
  const what =
    typeof v === 'number' && v > VERSION ? 'was written by a newer version' : 'is not a note of the last run';
  throw refused('foreign-record', `the record ${quoteKey(key)} ${what}; it is left untouched`);
}
