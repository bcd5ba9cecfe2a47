import type { CommitResult, Condition, Scope } from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import type { CallOptions } from './call-options.ts';
import type { Proof } from './grant.ts';
import type { SyncCommit, SyncMutation } from './guarded-commit.ts';

/**
 * A commit that several hands put together, and one sends: see `SyncManager.begin`. It goes wherever a transaction goes:
 * `sync.commit(..., { in: change })` adds to it.
 */
export class Change {
  readonly #send: (commit: SyncCommit, signal: AbortSignal | undefined) => Promise<CommitResult>;
  readonly #when: (Condition | Proof)[] = [];
  readonly #then: SyncMutation[] = [];
  #read: Scope | undefined;
  #sent = false;

  /** @internal */
  constructor(send: (commit: SyncCommit, signal: AbortSignal | undefined) => Promise<CommitResult>) {
    this.#send = send;
  }

  put(
    key: string,
    value: Uint8Array | string,
    options: { readonly owned?: boolean; readonly keep?: boolean } = {},
  ): this {
    return this.add({ then: [{ ...options, put: key, value }] });
  }

  remove(key: string): this {
    return this.add({ then: [{ remove: key }] });
  }

  /** All of them must hold, or nothing is applied. */
  when(...conditions: readonly (Condition | Proof)[]): this {
    return this.add({ when: conditions });
  }

  /** Read in the same atomic step. Once. */
  read(scope: Scope): this {
    return this.add({ read: scope });
  }

  /** Throws `invalid-option` when it was sent already, and for a second read. */
  add({ when = [], then = [], read }: SyncCommit): this {
    if (this.#sent)
      throw refused('invalid-option', 'a change that was committed takes nothing more: begin another one');
    if (read !== undefined && this.#read !== undefined) {
      throw refused('invalid-option', 'a change must not have two reads: a commit has one');
    }
    this.#when.push(...when);
    this.#then.push(...then);
    this.#read ??= read;
    return this;
  }

  /** Sends it, once, as `SyncManager.commit` does. */
  async commit(options: Pick<CallOptions, 'signal'> = {}): Promise<CommitResult> {
    if (this.#sent) throw refused('invalid-option', 'a change can be committed once: begin another one');
    this.#sent = true;
    const read = this.#read === undefined ? {} : { read: this.#read };
    return await this.#send({ when: this.#when, then: this.#then, ...read }, options.signal);
  }
}
