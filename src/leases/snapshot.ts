import { type StoredRecord, tokenOf } from '../index.ts';
import type { AttributesCheck } from './attributes.ts';
import { decode, type Fields } from './records.ts';

/** Something to be leased: a shard, a partition, a tenant. It outlives its leases. */
export interface Item<A> {
  readonly id: string;
  readonly attributes: A;
  /** Of its record: to update it only if nobody has meanwhile. */
  readonly revision: bigint;
  /** At which it was added. What is removed and added again is another item, of the same name. */
  readonly created: bigint;
}

/** Who has an item, as its record says. */
export interface ItemHolder {
  /** For operators. It proves nothing. */
  readonly lesseeId: string;
  /** Of the process: random, and another one for each pool. */
  readonly member: string;
  /** By the wall clock of who has it, in milliseconds. */
  readonly since: number;
  readonly token: bigint;
}

/** A process that takes items, or waits for one. */
export interface Worker {
  readonly member: string;
  /** Its share, in proportion to those of the others; 0 for who only waits for what is free. */
  readonly weight: number;
  /** Items that it takes at most. */
  readonly maxItems: number;
  /** Whoever came later has the larger one. */
  readonly joined: bigint;
}

/** A record that is none of ours, or of another version. */
export interface BadRecord {
  readonly key: string;
  readonly problem: string;
}

/** Records of one kind by their ids. What is malformed is left out, and told. */
export interface Read<T> {
  readonly found: ReadonlyMap<string, T>;
  readonly bad: readonly BadRecord[];
}

export function readItems<A>(
  records: readonly StoredRecord[],
  prefix: string,
  check: AttributesCheck<A>,
): Read<Item<A>> {
  return read(records, prefix, (id, { attributes }, { revision, created }) => {
    const checked = check(attributes);
    return checked.problem === undefined
      ? { id, attributes: checked.value, revision, created }
      : checked.problem;
  });
}

export function readHolders(records: readonly StoredRecord[], prefix: string): Read<ItemHolder> {
  return read(records, prefix, (_, { lessee, member, since }, record) => {
    if (record.session === undefined) return 'is owned by no session';
    if (typeof lessee !== 'string' || typeof member !== 'string') return 'names no lessee';
    return { lesseeId: lessee, member, since: typeof since === 'number' ? since : 0, token: tokenOf(record) };
  });
}

export function readWorkers(records: readonly StoredRecord[], prefix: string): Read<Worker> {
  return read(records, prefix, (member, { weight, max }, { session, created }) => {
    if (session === undefined) return 'is owned by no session';
    if (typeof weight !== 'number' || !(weight >= 0)) return 'has no weight';
    const maxItems = typeof max === 'number' ? max : Number.POSITIVE_INFINITY;
    return { member, weight, maxItems, joined: created };
  });
}

function read<T>(
  records: readonly StoredRecord[],
  prefix: string,
  take: (id: string, fields: Fields, record: StoredRecord) => T | string,
): Read<T> {
  const found = new Map<string, T>();
  const bad: BadRecord[] = [];
  for (const record of records) {
    if (!record.key.startsWith(prefix)) continue;
    const fields = decode(record);
    const id = record.key.slice(prefix.length);
    const taken = typeof fields === 'string' ? fields : take(id, fields, record);
    if (typeof taken === 'string') bad.push({ key: record.key, problem: taken });
    else found.set(id, taken);
  }
  return { found, bad };
}
