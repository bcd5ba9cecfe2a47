import type { Commit } from '../../sync/backend.ts';
import { keyOf } from '../kit/validate.ts';

/** A commit that may travel with others. */
export interface Member {
  readonly wanted: Commit;
}

/** The server allows 128 operations (`--max-txn-ops`): those of a request, and with them those of each nested in it. */
const MOST_MEMBERS = 100;
const MOST_OPERATIONS = 28;

/** Bytes of keys and values: well below the server's default for `--max-request-bytes`, which is 1.5 MiB. */
const LARGEST = 1024 * 1024;

/** Bytes that a key costs on top of itself. */
const OVERHEAD = 64;

/**
 * Commits that do not touch one another, so that it makes no difference in which order they are carried out. The server
 * compares for all of a request before it writes for any, and takes no two writes to one key.
 */
export class Batch<M extends Member> {
  readonly members: M[] = [];
  readonly #keys = new Set<string>();
  /** By their length, to find those that a key lies under. */
  readonly #prefixes = new Map<number, Set<string>>();
  /** The beginnings of all of them, of each length that was asked for. */
  readonly #beginnings = new Map<number, Set<string>>();
  #bytes = 0;
  /** Of the largest member. */
  #operations = 0;

  /** In as few batches as it takes. */
  static split<M extends Member>(members: readonly M[]): Batch<M>[] {
    const batches: Batch<M>[] = [];
    for (const member of members) {
      const footprint = footprintOf(member.wanted);
      let batch: Batch<M> | undefined;
      // Only the youngest ones are looked at: a thousand commits for one key must not become a million looks.
      for (let n = Math.max(0, batches.length - 4); n < batches.length && batch === undefined; n++) {
        const open = batches[n] as Batch<M>;
        if (open.#takes(footprint)) batch = open;
      }
      if (batch === undefined) {
        batch = new Batch();
        batches.push(batch);
      }
      batch.#add(member, footprint);
    }
    return batches;
  }

  #takes(footprint: Footprint): boolean {
    if (this.members.length >= MOST_MEMBERS || this.#bytes + footprint.bytes > LARGEST) return false;
    if (Math.max(this.#operations, footprint.operations) > MOST_OPERATIONS) return false;
    return !this.#touches(footprint);
  }

  #add(member: M, { keys, prefix, bytes, operations }: Footprint): void {
    this.members.push(member);
    this.#operations = Math.max(this.#operations, operations);
    this.#bytes += bytes;
    for (const key of keys) this.#keys.add(key);
    if (prefix !== undefined) {
      const sameLength = this.#prefixes.get(prefix.length);
      if (sameLength === undefined) this.#prefixes.set(prefix.length, new Set([prefix]));
      else sameLength.add(prefix);
    }
    for (const [length, beginnings] of this.#beginnings) {
      for (const name of keys) beginnings.add(name.slice(0, length));
      if (prefix !== undefined) beginnings.add(prefix.slice(0, length));
    }
  }

  #touches({ keys, prefix }: Footprint): boolean {
    for (const name of keys) if (this.#isTouched(name)) return true;
    if (prefix === undefined) return false;
    return this.#isTouched(prefix) || this.#beginningsOf(prefix.length).has(prefix);
  }

  /** It is one of the keys, or lies under one of the prefixes. */
  #isTouched(name: string): boolean {
    if (this.#keys.has(name)) return true;
    for (const [length, same] of this.#prefixes) if (same.has(name.slice(0, length))) return true;
    return false;
  }

  /** What is shorter than that is there as it is, and is no prefix of that length. */
  #beginningsOf(length: number): Set<string> {
    let beginnings = this.#beginnings.get(length);
    if (beginnings === undefined) {
      beginnings = new Set();
      for (const key of this.#keys) beginnings.add(key.slice(0, length));
      for (const same of this.#prefixes.values())
        for (const prefix of same) beginnings.add(prefix.slice(0, length));
      this.#beginnings.set(length, beginnings);
    }
    return beginnings;
  }
}

interface Footprint {
  readonly keys: readonly string[];
  readonly prefix: string | undefined;
  readonly bytes: number;
  readonly operations: number;
}

function footprintOf({ when, then, read, count }: Commit): Footprint {
  const keys: string[] = [];
  let bytes = 0;
  for (const { key } of when) {
    keys.push(key);
    bytes += sizeOf(key);
  }
  for (const mutation of then) {
    const key = keyOf(mutation);
    // A lock's condition is about the record that it puts or removes.
    if (key !== keys[0]) keys.push(key);
    bytes += sizeOf(key);
    if (mutation.put !== undefined) bytes += mutation.value.byteLength;
  }
  let prefix = count;
  if (read !== undefined && read.prefix !== undefined) prefix = read.prefix;
  if (read !== undefined && read.key !== undefined) {
    keys.push(read.key);
    bytes += sizeOf(read.key);
  }
  if (prefix !== undefined) bytes += sizeOf(prefix);
  return { keys, prefix, bytes, operations: Math.max(when.length, then.length + 1) };
}

function sizeOf(key: string): number {
  return 4 * key.length + OVERHEAD;
}
