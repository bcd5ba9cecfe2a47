import type { Backend, Condition, Mutation, Scope, StoredRecord } from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import { checkKey, keyProblem } from '../../contract/keys.ts';
import { quoteKey } from '../../contract/quote.ts';

/** Where the keys of a manager are at the store: below its prefix, which only the store sees. */
export class Keyspace {
  readonly #prefix: string;
  readonly #backend: Backend;

  /** @param prefix without a slash at its end; `''` for none. */
  constructor(prefix: string, backend: Backend) {
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.#backend = backend;
  }

  /** Checks a lock's key, and says where that lock is kept. */
  lockPath(key: unknown): string {
    this.check(key);
    return this.#prefix + this.#backend.lockPath(key);
  }

  /** Throws `invalid-key`. */
  check(key: unknown): asserts key is string {
    checkKey(key);
    if (this.#prefix === '') return;
    const problem = keyProblem(this.#prefix + key);
    if (problem === undefined) return;
    throw refused('invalid-key', `key ${quoteKey(key)}, below the manager's prefix, ${problem}`);
  }

  stored(key: string): string {
    return this.#prefix + key;
  }

  /** As the manager's callers name it: the reverse of `stored`. */
  own(stored: string): string {
    return stored.slice(this.#prefix.length);
  }

  /** Not of a proof, which says where its record is at the store. */
  condition(condition: Condition): Condition {
    if (this.#prefix === '') return condition;
    return { ...condition, key: this.stored(condition.key) };
  }

  mutation(mutation: Mutation): Mutation {
    if (this.#prefix === '') return mutation;
    return mutation.put === undefined
      ? { remove: this.stored(mutation.remove) }
      : { ...mutation, put: this.stored(mutation.put) };
  }

  scope(scope: Scope): Scope {
    if (this.#prefix === '') return scope;
    return scope.key === undefined
      ? { ...scope, prefix: this.stored(scope.prefix) }
      : { ...scope, key: this.stored(scope.key) };
  }

  /** As the manager's callers name them. */
  told(records: readonly StoredRecord[]): readonly StoredRecord[] {
    if (this.#prefix === '') return records;
    return records.map((record) => ({ ...record, key: this.own(record.key) }));
  }
}
