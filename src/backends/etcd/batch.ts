import type { Commit, CommitResult } from '../../sync/backend.ts';
import { keyOf } from './validate.ts';
import type { TxnRequest } from './wire.ts';

/** One commit on its way, and who waits for it. */
export interface Member {
  readonly wanted: Commit;
  readonly request: TxnRequest;
  readonly signal: AbortSignal;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
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
export class Batch {
  readonly members: Member[] = [];
  readonly #keys = new Set<string>();
  /** By their length, to find those that a key lies under. */
  readonly #prefixes = new Map<number, Set<string>>();
  /** The beginnings of all of them, of each length that was asked for. */
  readonly #beginnings = new Map<number, Set<string>>();
  #bytes = 0;
  /** Of the largest member. */
  #operations = 0;

  /** In as few batches as it takes. */
  static split(members: readonly Member[]): Batch[] {
    const batches: Batch[] = [];
    for (const member of members) {
      const footprint = footprintOf(member.wanted);
      // Only the youngest ones are looked at: a thousand commits for one key must not become a million looks.
      let batch = batches.slice(-4).find((open) => open.#takes(footprint));
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

  #add(member: Member, { keys, prefixes, bytes, operations }: Footprint): void {
    this.members.push(member);
    this.#operations = Math.max(this.#operations, operations);
    this.#bytes += bytes;
    for (const key of keys) this.#keys.add(key);
    for (const prefix of prefixes) {
      const sameLength = this.#prefixes.get(prefix.length) ?? new Set();
      this.#prefixes.set(prefix.length, sameLength.add(prefix));
    }
    for (const [length, beginnings] of this.#beginnings) {
      for (const name of [...keys, ...prefixes]) beginnings.add(name.slice(0, length));
    }
  }

  #touches({ keys, prefixes }: Footprint): boolean {
    for (const name of [...keys, ...prefixes]) {
      if (this.#keys.has(name)) return true;
      for (const [length, same] of this.#prefixes) if (same.has(name.slice(0, length))) return true;
    }
    return prefixes.some((prefix) => this.#beginningsOf(prefix.length).has(prefix));
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
  readonly prefixes: readonly string[];
  readonly bytes: number;
  readonly operations: number;
}

function footprintOf({ when, then, read }: Commit): Footprint {
  const keys = [...when.map(({ key }) => key), ...then.map(keyOf)];
  const prefixes: string[] = [];
  if (read !== undefined) {
    if ('key' in read) keys.push(read.key);
    else prefixes.push(read.prefix);
  }
  let bytes = 0;
  for (const key of [...keys, ...prefixes]) bytes += 4 * key.length + OVERHEAD;
  for (const mutation of then) if ('put' in mutation) bytes += mutation.value.byteLength;
  return { keys, prefixes, bytes, operations: Math.max(when.length, then.length + 1) };
}
