import { type Observable, Subject } from 'rxjs';
import { IsolatedObservable } from '../async/isolated-observable.ts';
import { messageOf } from '../async/realms.ts';
import { sleep } from '../async/sleep.ts';
import { checkNames, invalid, type Names } from '../contract/options.ts';
import {
  type Claim,
  isSyncError,
  type Proof,
  type StoredRecord,
  SyncError,
  type SyncManager,
} from '../index.ts';
import { decode, encode, type Fields, type Layout } from './records.ts';
import type { Item } from './snapshot.ts';

/**
 * Why a lease ended that was not given back. `lost`: its session or its record went. `removed`: the item was removed.
 * `yield-timeout`: its handler did not finish in time.
 */
export type LeaseEnd = 'lost' | 'removed' | 'yield-timeout';

export interface LeaseLoss {
  readonly id: string;
  readonly token: bigint;
  readonly reason: LeaseEnd;
}

export interface LeaseHost<A> {
  readonly sync: SyncManager;
  readonly layout: Layout;
  /** The item as it stands now, as far as is known. */
  item(id: string): Item<A> | undefined;
  /** The lease is over; `loss`, if it was not given back. */
  ended(id: string, loss: LeaseLoss | undefined): void;
  report(error: unknown): void;
}

interface Position<P> {
  readonly value: P | undefined;
  /** What else another version has written there: it stays. */
  readonly fields?: Fields;
  /** Of its record; `undefined` if there is none. */
  readonly revision: bigint | undefined;
}

/** Milliseconds between tries of a checkpoint of which it is not known whether it was written. */
const AGAIN = 100;

const RELEASE: Names<{ checkpoint: unknown }> = { checkpoint: true };

/** An item in the hands of this process, until it is given back or lost. It never revives. */
export class Lease<A, P> implements AsyncDisposable {
  readonly id: string;
  readonly lesseeId: string;
  /** Larger than that of any lease of this item before: let the systems that you write to refuse a smaller one. */
  readonly token: bigint;
  /** Proves in the step of your own commit that this lease is still the one: see `SyncManager.commit`. */
  readonly isOwner: Proof;
  /** Tells of the loss, once, and completes when the lease is over. */
  readonly lost$: Observable<LeaseLoss>;
  readonly #host: LeaseHost<A>;
  readonly #claim: Claim;
  readonly #yielding = new AbortController();
  readonly #losses = new Subject<LeaseLoss>();
  #item: Item<A>;
  #position: Position<P>;
  #reason: LeaseEnd = 'lost';
  #over = false;
  /** Checkpoints go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(host: LeaseHost<A>, claim: Claim, item: Item<A>, lesseeId: string) {
    this.#host = host;
    this.#claim = claim;
    this.#item = item;
    this.id = item.id;
    this.lesseeId = lesseeId;
    this.token = claim.token;
    this.isOwner = claim.isOwner;
    this.#position = positionIn<P>(claim.read[0]);
    this.lost$ = new IsolatedObservable<LeaseLoss>(
      (error) => host.report(error),
      (subscriber) => this.#losses.subscribe(subscriber),
    );
  }

  /** @internal Tells its host when it is over, which may be at once: it was lost while it was asked for. */
  begin(): void {
    this.signal.addEventListener('abort', () => this.#ended(), { once: true });
    if (this.signal.aborted) this.#ended();
  }

  /** As it was taken, or as it was updated since. */
  get item(): Item<A> {
    const item = this.#over ? undefined : this.#host.item(this.id);
    if (item?.created === this.#item.created) this.#item = item;
    return this.#item;
  }

  /** Of the last checkpoint, by whomever; `undefined` if there is none. */
  get position(): P | undefined {
    return this.#position.value;
  }

  /** Whether this process may still believe in it: see `Grant.held`. */
  get held(): boolean {
    return this.#claim.held;
  }

  /** Until when it may be believed in unless its session is renewed: monotonic milliseconds, on the manager's clock. */
  get until(): number {
    return this.#claim.until;
  }

  /** "Stop now": aborts when it is lost or given back. */
  get signal(): AbortSignal {
    return this.#claim.signal;
  }

  /** "Finish, please": aborts when another worker is to have the item, and with `signal`. */
  get yielding(): AbortSignal {
    return this.#yielding.signal;
  }

  /** Throws a `SyncError` `lost`, `released` or `suspended` unless it is held. */
  assertHeld(): void {
    this.#claim.assertHeld();
  }

  /**
   * Notes how far the work has come, for whoever has the item next. Fenced: rejects with `lost` once another one has it or the item
   * is removed, whatever this process believes. What is unknown is tried again until the lease is over.
   */
  async checkpoint(position: P): Promise<void> {
    const before = this.#last;
    const done = (async () => {
      await before;
      await this.#checkpoint(position);
    })();
    this.#last = done.catch(() => undefined);
    await done;
  }

  /**
   * Gives the item back. Idempotent. With `checkpoint` in the same commit: then it rejects with `lost` if another one had the item.
   * Without, it never rejects.
   */
  async release(options: { readonly checkpoint?: P } = {}): Promise<void> {
    checkNames(options, RELEASE);
    await this.#last;
    if (options.checkpoint === undefined) return await this.#claim.release();
    const { layout } = this.#host;
    const put = layout.position(this.id);
    const then = [{ put, value: this.#encode(options.checkpoint) }];
    try {
      await this.#claim.release({ then });
    } catch (error) {
      if (!isSyncError(error, 'unavailable') || error.outcome === 'refused') throw error;
      if (!(await this.#isWritten(put, options.checkpoint))) throw error;
    }
    this.#position = { value: options.checkpoint, revision: undefined };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** @internal Asks its handler to finish. */
  yield(reason: Error): void {
    this.#yielding.abort(reason);
  }

  /** @internal Ends it here at once, and then at the store, as if it were lost. */
  async end(reason: LeaseEnd, message: string): Promise<void> {
    if (this.#over) return;
    this.#reason = reason;
    await this.#claim.release({ reason: new SyncError('lost', message) });
  }

  #ended(): void {
    if (this.#over) return;
    this.#over = true;
    const { reason } = this.signal;
    this.#yielding.abort(reason);
    const loss = isSyncError(reason, 'released')
      ? undefined
      : { id: this.id, token: this.token, reason: this.#reason };
    this.#host.ended(this.id, loss);
    if (loss !== undefined) this.#losses.next(loss);
    this.#losses.complete();
  }

  async #checkpoint(position: P): Promise<void> {
    const { sync, layout } = this.#host;
    const key = layout.position(this.id);
    const value = this.#encode(position);
    /** What was written under, and came to nothing or had no answer. */
    let tried: { readonly item: Item<A>; readonly revision: bigint | undefined } | undefined;
    for (;;) {
      this.signal.throwIfAborted();
      try {
        if (tried !== undefined) await this.#catchUp(tried.item, tried.revision);
        const { revision } = this.#position;
        const item = this.item;
        tried = { item, revision };
        const result = await sync.commit({
          when: [
            this.isOwner,
            // Not removed; and no earlier request of ours comes through late, over a later one.
            { key: layout.item(this.id), revision: item.revision },
            revision === undefined ? { key, is: 'absent' } : { key, revision },
          ],
          then: [{ put: key, value }],
        });
        if (result.ok) {
          this.#position = { ...this.#position, value: position, revision: result.revision };
          return;
        }
      } catch (error) {
        if (!isSyncError(error, 'unavailable')) throw error;
        await sleep(sync.clock, AGAIN, this.signal);
      }
    }
  }

  /** Looks why a checkpoint was refused, and whether that was ours to cause. Rejects with `lost` unless there is something new. */
  async #catchUp(item: Item<A>, revision: bigint | undefined): Promise<void> {
    const { sync, layout } = this.#host;
    const [owner, items, positions] = await Promise.all([
      sync.query({ key: layout.held(this.id) }),
      sync.query({ key: layout.item(this.id) }),
      sync.query({ key: layout.position(this.id) }),
    ]);
    const [itemNow] = items.records;
    const isOurs = owner.records[0]?.revision === this.isOwner.revision;
    if (!isOurs || itemNow?.created !== item.created) {
      throw new SyncError(
        'lost',
        `the item ${JSON.stringify(this.id)} is somebody else's by now, or was removed`,
        {
          outcome: 'refused',
        },
      );
    }
    if (itemNow.revision !== item.revision) this.#item = { ...item, revision: itemNow.revision };
    const seen = positionIn<P>(positions.records[0]);
    if (seen.revision !== revision) this.#position = seen;
  }

  async #isWritten(key: string, position: P): Promise<boolean> {
    const { records } = await this.#host.sync.query({ key });
    const fields = records[0] && decode(records[0]);
    if (typeof fields !== 'object') return false;
    return (
      fields.token === String(this.token) && JSON.stringify(fields.position) === JSON.stringify(position)
    );
  }

  /** Throws `invalid-option` for what JSON cannot say. */
  #encode(position: P): string {
    try {
      return encode({ ...this.#position.fields, position, token: String(this.token) });
    } catch (error) {
      throw invalid('position', `cannot be written as JSON: ${messageOf(error)}`);
    }
  }
}

export function positionIn<P>(record: StoredRecord | undefined): Position<P> {
  if (record === undefined) return { value: undefined, revision: undefined };
  const fields = decode(record);
  if (typeof fields === 'string') return { value: undefined, revision: record.revision };
  return { value: fields.position as P | undefined, revision: record.revision, fields };
}
