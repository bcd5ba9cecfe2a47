import type { Mutation } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import { isLasting, wasRefused } from '../../contract/retry.ts';
import { removeRecord } from './remove-record.ts';
import type { Holding, LockContext } from './strategy.ts';

/**
 * What became of what was to be written with the removal of a record. `lost`: the record was not ours any more, and nothing was
 * written. An error: it was refused.
 */
export type FarewellEnd = 'written' | 'lost' | 'unknown' | SyncError;

/** What is written in the commit that removes the record of a claim. */
export class Farewell {
  readonly then: readonly Mutation[];
  #end: FarewellEnd | undefined;
  /** A request with it is on its way, or had no answer. */
  #unsure = false;
  #refusal: SyncError | undefined;

  constructor(then: readonly Mutation[]) {
    this.then = then;
  }

  /** What is known now, for who does not wait any longer. What is told stays so: from now on only the record is removed. */
  tell(): FarewellEnd {
    this.#end ??= this.#unsure ? 'unknown' : (this.#refusal ?? 'lost');
    return this.#end;
  }

  /** Whether the record is known to be gone with it. Rejects when that is to be tried again. */
  async part(lock: LockContext, { record: key, revision }: Holding, signal: AbortSignal): Promise<boolean> {
    if (this.then.length === 0 || this.#end !== undefined) {
      return await removeRecord(lock, { key, revision }, signal);
    }
    const wasUnsure = this.#unsure;
    this.#unsure = true;
    try {
      const commit = { when: [{ key, revision }], then: [{ remove: key }, ...this.then] };
      const { ok } = await lock.backend.commit(commit, signal);
      this.#end ??= ok ? 'written' : wasUnsure ? 'unknown' : 'lost';
      return ok;
    } catch (error) {
      if (!wasRefused(error)) throw error;
      this.#unsure = wasUnsure;
      this.#refusal = error as SyncError;
      if (!isLasting(error)) throw error;
      // What cannot be written must not keep the record there.
      this.tell();
      return await removeRecord(lock, { key, revision }, signal);
    }
  }
}
