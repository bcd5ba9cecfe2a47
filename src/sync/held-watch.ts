import { OVER } from './abort.ts';
import { type Backend, type Clock, type Cursor, isSyncError, type StoredRecord } from './backend.ts';
import { retryDelay } from './backoff.ts';
import type { Holding, RecordLoss } from './contention/contention.ts';
import type { Session } from './session.ts';

/**
 * The record of a held lock is looked at again after this part of the time for which its session is believed in, whether
 * or not anything was heard of it: time enough to be refused, and to be told before that time is over.
 */
const LOOK_SHARE = 0.8;

export interface HeldWatchHost {
  readonly backend: Backend;
  readonly clock: Clock;
  /** Takes over a promise that never rejects; stopping waits for it. */
  background(task: Promise<unknown>): void;
}

export interface HeldWatchListener {
  /** The record is no longer ours. Called at most once, and not after `cancel`. */
  recordLost(reason: RecordLoss): void;
  recordTrouble(error: unknown): void;
}

/**
 * Watches the record we hold by. There is one for each lock that is held for long, so it is made of callbacks: a
 * promise, a signal and a suspended function for each would be half of all the memory that a lock takes.
 *
 * A look that fails says nothing about the record: the session's deadline decides. But one that is denied, for as long as
 * the last good one would be believed, is a loss: etcd renews the lease of a user who has no right to anything any more.
 */
export class HeldWatch {
  readonly #host: HeldWatchHost;
  readonly #session: Session;
  readonly #holding: Holding;
  readonly #listener: HeldWatchListener;
  /** Ends the read or the watch that is under way. */
  #undo: (() => void) | undefined;
  #timer: { cancel(): void } | undefined;
  #lookedAt: number;
  #failures = 0;
  /** The last watch was refused or failed: then a good read alone is no sign that all is well. */
  #deaf = false;

  constructor(host: HeldWatchHost, session: Session, holding: Holding, listener: HeldWatchListener) {
    this.#host = host;
    this.#session = session;
    this.#holding = holding;
    this.#listener = listener;
    this.#lookedAt = host.clock.now();
    this.#look();
  }

  /** Nobody is told anything any more. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#undo?.();
    this.#undo = undefined;
  }

  #look(): void {
    this.cancel();
    const { backend, background } = this.#host;
    const reading = new AbortController();
    const { signal } = reading;
    this.#undo = () => reading.abort(OVER);
    const told = backend.query({ key: this.#holding.record }, { signal }).then(
      ({ records, at }) => {
        if (!signal.aborted) this.#seen(records[0], at);
      },
      (error: unknown) => {
        if (!signal.aborted) this.#failed(error);
      },
    );
    background(told);
  }

  #seen(record: StoredRecord | undefined, at: Cursor): void {
    const loss = lossIn(record, this.#holding);
    if (loss !== undefined) {
      this.cancel();
      this.#listener.recordLost(loss);
      return;
    }
    const { clock } = this.#host;
    if (!this.#deaf) {
      this.#lookedAt = clock.now();
      this.#failures = 0;
    }
    const wait = this.#session.patience * LOOK_SHARE;
    this.#undo = watch(this.#host, this.#holding.record, at, wait, (error) => {
      this.#deaf = error !== undefined;
      if (error === undefined) this.#look();
      else this.#failed(error);
    });
    this.#timer = clock.after(wait, () => {
      this.#deaf = false;
      this.#look();
    });
  }

  #failed(error: unknown): void {
    this.cancel();
    this.#listener.recordTrouble(error);
    const { clock } = this.#host;
    const pause = retryDelay(error, this.#failures, clock.random());
    this.#failures += 1;
    const denied = isSyncError(error, 'permission-denied');
    const left = denied ? this.#lookedAt + this.#session.patience - clock.now() : Number.POSITIVE_INFINITY;
    this.#timer = clock.after(Math.min(left, pause), () => {
      if (left > pause) this.#look();
      else this.#listener.recordLost('permission-denied');
    });
  }
}

/** By a blocking query where the backend has nothing cheaper. */
function watch(
  { backend, background }: HeldWatchHost,
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
