import type { Clock, Timer } from '../../async/clock.ts';
import type { Backend, Cursor, StoredRecord } from '../../contract/backend.ts';
import { isSyncError, OVER } from '../../contract/errors.ts';
import { retryDelay } from '../../contract/retry.ts';
import type { Session } from '../session/session.ts';
import type { LookTimes } from './look-times.ts';
import type { Holding, RecordLoss } from './strategy.ts';

/**
 * The record of a held lock is looked at again within this part of the time for which its session is believed in, whether
 * or not anything was heard of it: time enough to be refused, and to be told before that time is over.
 */
const LOOK_SHARE = 0.9;

export interface RecordWatchHost {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly lookTimes: LookTimes;
  /** Takes over a promise that never rejects; stopping waits for it. */
  background(task: Promise<unknown>): void;
}

export interface RecordWatchListener {
  /** The record is no longer ours. Called at most once, and not after `cancel`. */
  recordLost(reason: RecordLoss): void;
  recordTrouble(error: unknown): void;
}

/**
 * Watches the record we hold by. There is one for each lock that is held for long, so it is made of callbacks: a
 * promise, a signal and a suspended function for each would be half of all the memory that a lock takes.
 *
 * A watch tells of a change at once, and a look from time to time makes up for a watch that has fallen silent. Looks of all
 * locks go together, so that a backend can put a hundred of them into one request.
 *
 * A look that fails says nothing about the record. But when nothing can be learned of it for as long as a session is believed
 * in, or when that was denied for so long, it is lost: etcd goes on renewing the lease of a user who has no right to anything any more, and a
 * server may answer to renewals and to nothing else.
 */
export class RecordWatch {
  readonly #host: RecordWatchHost;
  readonly #session: Session;
  readonly #holding: Holding;
  readonly #listener: RecordWatchListener;
  /** Ends the request or the watch that is under way. */
  #undo: (() => void) | undefined;
  #unlook: (() => void) | undefined;
  #timer: Timer | undefined;
  /** When it was last known that all is well. Monotonic milliseconds. */
  #lookedAt: number;
  /** Since when nothing can be learned. */
  #failingSince: number | undefined;
  #watchedSince = 0;
  #failures = 0;
  /** The last watch was refused or failed: then a good read alone is no sign that all is well. */
  #deaf = false;

  constructor(host: RecordWatchHost, session: Session, holding: Holding, listener: RecordWatchListener) {
    this.#host = host;
    this.#session = session;
    this.#holding = holding;
    this.#listener = listener;
    this.#lookedAt = host.clock.now();
    const { backend } = host;
    const since = backend.positionOf?.(holding.record, holding.revision);
    if (since === undefined) this.#read();
    else this.#watch(since);
  }

  /** Nobody is told anything any more. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#unlook?.();
    this.#unlook = undefined;
    this.#undo?.();
    this.#undo = undefined;
  }

  get #lookInterval(): number {
    return this.#session.patience * LOOK_SHARE;
  }

  /** What stands there, after something may have happened. */
  #read(): void {
    this.cancel();
    this.#undo = this.#ask(
      (signal) => this.#host.backend.query({ key: this.#holding.record }, { signal }),
      ({ records, at }) => {
        const loss = lossIn(records[0], this.#holding);
        if (loss !== undefined) {
          this.#lose(loss);
          return;
        }
        this.#failingSince = undefined;
        if (!this.#deaf) this.#good();
        this.#watch(at);
      },
    );
  }

  #watch(since: Cursor): void {
    const { backend, clock } = this.#host;
    const wait = this.#lookInterval;
    this.#watchedSince = clock.now();
    this.#undo = watch(this.#host, this.#holding.record, since, wait, (error) => {
      if (error !== undefined) {
        this.#deafened(error);
        return;
      }
      this.#deaf = false;
      this.#read();
    });
    const { rereads } = backend.traits;
    if (backend.watch === undefined || (rereads !== undefined && rereads <= wait)) return;
    this.#lookLater();
  }

  #lookLater(): void {
    this.#unlook = this.#host.lookTimes.after(this.#lookInterval, () => this.#look());
  }

  /** Whether it is untouched, while the watch stands. */
  #look(): void {
    const { record: key, revision } = this.#holding;
    this.#unlook = this.#ask(
      (signal) => this.#host.backend.commit({ when: [{ key, revision }], then: [] }, signal),
      ({ ok }) => {
        if (!ok) {
          this.#read();
          return;
        }
        // The watch has stood for all that time.
        this.#deaf = false;
        this.#good();
        this.#lookLater();
      },
    );
  }

  #good(): void {
    this.#lookedAt = this.#host.clock.now();
    this.#failingSince = undefined;
    this.#failures = 0;
  }

  #deafened(error: unknown): void {
    const { clock, backend } = this.#host;
    const { rereads } = backend.traits;
    const now = clock.now();
    // It had read the record by itself, as long as it stood.
    if (rereads !== undefined && now - this.#watchedSince > rereads) {
      this.#lookedAt = Math.max(this.#lookedAt, now - rereads);
      this.#failingSince = undefined;
      this.#failures = 0;
    }
    this.#deaf = true;
    this.#failed(error);
  }

  #failed(error: unknown): void {
    this.cancel();
    this.#listener.recordTrouble(error);
    const { clock } = this.#host;
    const now = clock.now();
    const pause = retryDelay(error, this.#failures, clock.random());
    this.#failures += 1;
    this.#failingSince ??= now;
    // A server that says no had said yes at the last good look. One that says nothing may be about to have a leader again.
    const isDenied = isSyncError(error, 'permission-denied');
    const since = isDenied ? this.#lookedAt : this.#failingSince;
    const left = since + this.#session.patience - now;
    this.#timer = clock.after(Math.min(left, pause), () => {
      if (left > pause) this.#read();
      else this.#lose(isDenied ? 'permission-denied' : 'record-unreadable');
    });
  }

  #lose(reason: RecordLoss): void {
    this.cancel();
    this.#listener.recordLost(reason);
  }

  /** Returns what ends it; nothing is told after that. */
  #ask<T>(request: (signal: AbortSignal) => Promise<T>, answered: (answer: T) => void): () => void {
    const controller = new AbortController();
    const { signal } = controller;
    const told = request(signal).then(
      (answer) => {
        if (!signal.aborted) answered(answer);
      },
      (error: unknown) => {
        if (!signal.aborted) this.#failed(error);
      },
    );
    this.#host.background(told);
    return () => controller.abort(OVER);
  }
}

/** By a blocking query where the backend has nothing cheaper. */
function watch(
  { backend, background }: RecordWatchHost,
  key: string,
  since: Cursor,
  wait: number,
  wake: (error?: unknown) => void,
): () => void {
  if (backend.watch !== undefined) return backend.watch(key, since, wake);
  const controller = new AbortController();
  const { signal } = controller;
  background(
    backend.query({ key }, { since, wait, signal }).then(
      () => {
        if (!signal.aborted) wake();
      },
      (error: unknown) => {
        if (!signal.aborted) wake(error);
      },
    ),
  );
  return () => controller.abort(OVER);
}

function lossIn(record: StoredRecord | undefined, holding: Holding): RecordLoss | undefined {
  if (record === undefined) return 'record-gone';
  if (record.revision === holding.revision) return undefined;
  const inOurPlace = record.session === undefined || record.session === holding.session;
  return inOurPlace ? 'record-overwritten' : 'record-gone';
}
