import { expectManyListeners } from '../../async/realms.ts';
import type { Revision, StoredRecord } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { wasRefused } from '../../contract/retry.ts';
import type { LossReason } from '../contender/lock-machine.ts';
import type { Holding } from '../contender/strategy.ts';
import type { Session } from '../session/session.ts';

/** Low bits of a token: the number of a hand-off between callers of one process. */
const HAND_OFF_BITS = 16n;

/** How often one holding can be handed on between callers of one process: what those bits can count. */
export const MOST_HAND_OFFS = 2 ** Number(HAND_OFF_BITS) - 1;

/**
 * The fencing token of a grant: the store's revision at which the holding was made in the high bits, the number of the
 * hand-off in the low ones. Fits a signed 64-bit integer up to revision 2^47.
 */
export function fencingToken(holding: Holding, handOff: number): bigint {
  return (holding.token << HAND_OFF_BITS) + BigInt(handOff);
}

/** The fencing token of who holds by this record, which a claim made. */
export function tokenOf({ created }: Pick<StoredRecord, 'created'>): bigint {
  return created << HAND_OFF_BITS;
}

/** A condition on a lock's record that says, beyond what the store can tell, which grant it belongs to. Plain data. */
export interface Proof {
  /** The lock's record at the store. */
  readonly key: string;
  /** At which the record was made. */
  readonly revision: Revision;
  /** How often it had been handed on between callers of one process: 0 for the one who acquired it from the store. */
  readonly handOff: number;
}

/** Whether a transaction of the user's is over, after so many milliseconds at the latest. Never rejects. */
export type TransactionOver = (ms: number) => Promise<boolean>;

/** Transactions of a grant of which nobody has asked whether they are over. A grant may be held for weeks. */
const MOST_UNASKED = 100;

export type GrantEnd = LossReason | 'released';

/**
 * One period of holding a lock. Ends by release or by loss, and never revives: after a loss the lock comes back, if
 * it does, with a new grant and a larger token.
 */
export class Grant implements AsyncDisposable {
  readonly key: string;
  /**
   * Give it to the systems you write to, and let them refuse a smaller one than they have seen.
   *
   * What the store grants has a larger token than all before it for this key, over all holders, processes, deletions and
   * expiries. Hand-offs between callers of one process rise among themselves, and stay below the next token that the store
   * grants. Between the moment in which an operator deletes the record and the notice of that, a hand-off may have a
   * smaller one than another process has been granted meanwhile: a store that checks tokens refuses it.
   */
  readonly token: bigint;
  /**
   * Proves in the same step as your writes that this grant is still the one: see `sync.commit`, of the same manager. A copy or
   * a clone is as good, if it is whole: without `handOff` it is the proof of the one who acquired from the store, and gives
   * `conflict` for everybody to whom the lock was handed on. Another process should be given the token.
   */
  readonly isOwner: Proof;
  readonly #session: Session;
  readonly #release: (grant: Grant) => Promise<void>;
  #writes: Set<Promise<unknown>> | undefined;
  #transactions: Set<TransactionOver> | undefined;
  #unsure = false;
  #ended: GrantEnd | undefined;
  #because: Error | undefined;
  #doubting: (() => void)[] | undefined;
  #controller: AbortController | undefined;

  /** @internal */
  constructor(
    key: string,
    session: Session,
    holding: Holding,
    handOff: number,
    release: (grant: Grant) => Promise<void>,
  ) {
    this.key = key;
    this.token = fencingToken(holding, handOff);
    this.isOwner = { key: holding.record, revision: holding.revision, handOff };
    this.#session = session;
    this.#release = release;
  }

  /**
   * Whether this process may still believe that it holds the lock. Compares the clock with the session's deadline
   * at every look, so the first look after a stalled event loop or a stopped process already says no.
   */
  get held(): boolean {
    return this.#ended === undefined && this.#session.trusted;
  }

  /**
   * Until when this process may believe in it unless it hears of the session again: monotonic milliseconds, on the manager's `clock`.
   * Each renewal moves it.
   */
  get until(): number {
    return this.#session.deadline;
  }

  /** Aborts on loss (reason: a `SyncError` `lost`) and on release (`released`). For the work done under the lock. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      expectManyListeners(this.#controller.signal);
    }
    if (this.#ended !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#reason());
    return this.#controller.signal;
  }

  /**
   * Whether it is in doubt, and `held` is `false` for that reason alone: the machine may have slept, or somebody set the clock. A
   * renewal that is under way will tell, at the latest at the session's deadline. Tokens and guarded commits are as good as ever.
   */
  get suspended(): boolean {
    return this.#ended === undefined && this.#session.doubtful;
  }

  /** @internal Resolves when it is not in doubt: at once, most often, and at the latest at the session's deadline. */
  get settled(): Promise<void> {
    if (!this.suspended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#doubting ??= [];
      this.#doubting.push(resolve);
    });
  }

  /** @internal The session was verified. */
  reconfirmed(): void {
    for (const resolve of this.#doubting?.splice(0) ?? []) resolve();
  }

  /** Throws a `SyncError` `lost`, `released` or `suspended` unless the lock is held. */
  assertHeld(): void {
    if (!this.held) throw this.#reason();
  }

  /**
   * Gives the lock back. Idempotent; never rejects; nothing to do for a grant that was lost. Resolves when nothing of it is left, or
   * after a TTL: then it goes on being removed. It waits for a transaction that its proof went into (`sync.commit` with `in`): who
   * awaits it within that transaction waits for himself, and for a TTL.
   */
  release(): Promise<void> {
    return this.#release(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** @internal Counts a guarded write in, so that the release can wait for it. */
  guard(write: Promise<unknown>): void {
    const writes = this.#writes ?? new Set();
    this.#writes = writes.add(write);
    const forget = (): void => {
      writes.delete(write);
    };
    write.then(forget, (error: unknown) => {
      if (!wasRefused(error)) this.#unsure = true;
      forget();
    });
  }

  /** @internal Its proof is part of a transaction of the user's, and has to hold until that is over. */
  guardUntil(isOver: TransactionOver): void {
    this.#transactions ??= new Set();
    this.#transactions.add(isOver);
    if (this.#transactions.size % MOST_UNASKED === 0) void this.#transactionsOver();
  }

  /** @internal Whether a guarded write without an answer may still be on its way to the store, or its transaction is open. */
  get unsure(): boolean {
    return this.#unsure || this.inTransaction;
  }

  /** @internal Whether its proof is part of a transaction that is not known to be over. */
  get inTransaction(): boolean {
    return (this.#transactions?.size ?? 0) > 0;
  }

  /**
   * @internal Guarded writes on their way: they must reach the store before the record goes, and their transactions be over. Never
   * rejects. Of a transaction that is open for longer than a TTL nobody waits for the end: the store does, whose record is locked.
   */
  get pendingWrites(): Promise<unknown> | undefined {
    return this.#writes?.size || this.inTransaction ? this.#atRest() : undefined;
  }

  async #atRest(): Promise<void> {
    await Promise.allSettled(this.#writes ?? []);
    await this.#transactionsOver();
  }

  async #transactionsOver(): Promise<void> {
    const { ttl } = this.#session;
    const ask = async (isOver: TransactionOver): Promise<void> => {
      if (await isOver(ttl)) this.#transactions?.delete(isOver);
    };
    await Promise.all([...(this.#transactions ?? [])].map(ask));
  }

  /** @internal */
  get ended(): GrantEnd | undefined {
    return this.#ended;
  }

  /**
   * @internal Ends belief at once; the signal is aborted by `announce`, when the engine is at rest.
   *
   * @param because what is told instead of an error of this library.
   */
  end(why: GrantEnd, because?: Error): void {
    if (this.#ended === undefined) this.#because = because;
    this.#ended ??= why;
    this.reconfirmed();
  }

  /** @internal Whether somebody has asked for the signal. */
  get observed(): boolean {
    return this.#controller !== undefined;
  }

  /** @internal */
  announce(): void {
    this.#controller?.abort(this.#reason());
  }

  #reason(): Error {
    if (this.#because !== undefined) return this.#because;
    const lock = `the lock ${quoteKey(this.key)}`;
    if (this.#ended === 'released') return new SyncError('released', `${lock} was released`);
    if (this.suspended) {
      return new SyncError(
        'suspended',
        `${lock} is in doubt: the machine may have slept, and its session is being verified`,
      );
    }
    return new SyncError('lost', `${lock} was lost (${this.#ended ?? 'deadline'})`);
  }
}
