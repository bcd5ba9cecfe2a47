import type { Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import { byCreation } from '../../contract/order.ts';

export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
  readonly session: string | undefined;
  readonly created: Revision;
  readonly revision: Revision;
  readonly foreign: string | undefined;
}

/** The records of a store. The keys are kept sorted, so that a prefix costs what it holds and not what the store holds. */
export class RecordTable {
  readonly #rows = new Map<string, Row>();
  readonly #keys: string[] = [];

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  set(row: Row): void {
    if (!this.#rows.has(row.key)) {
      this.#keys.splice(this.#lowerBound(row.key), 0, row.key);
    }
    this.#rows.set(row.key, row);
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) {
      this.#keys.splice(this.#lowerBound(key), 1);
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#keys.length = 0;
  }

  select(scope: Scope): Row[] {
    if (scope.key !== undefined) {
      const row = this.#rows.get(scope.key);
      return row === undefined ? [] : [row];
    }
    if (scope.oldest !== undefined) {
      return [...this.#under(scope.prefix)].sort(byCreation).slice(0, scope.oldest);
    }
    if (scope.youngest !== undefined) {
      const earlier = [...this.#under(scope.prefix)].filter(({ created }) => created < scope.before);
      return earlier.sort((a, b) => byCreation(b, a)).slice(0, scope.youngest);
    }
    return [...this.#under(scope.prefix)];
  }

  *#under(prefix: string): Generator<Row> {
    for (let i = this.#lowerBound(prefix); i < this.#keys.length; i++) {
      const row = this.#rows.get(this.#keys[i] ?? '');
      if (!row?.key.startsWith(prefix)) return;
      yield row;
    }
  }

  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Nobody outside may change what is stored, nor see a stored value change. */
export function toRecord(row: Row): StoredRecord {
  const { key, session, created, revision, foreign } = row;
  const record = { key, value: new Uint8Array(row.value), session, created, revision };
  return foreign === undefined ? record : { ...record, foreign };
}
