import type { Commit } from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import { keyOf } from '../../contract/validate.ts';
import type { Request } from '../kit/driver.ts';
import { absent, conditionOf, got, type Known, listed, mutationOf, type Operation } from './operation.ts';
import { isSessionId } from './sessions.ts';

/** Operations in one transaction; more are answered with 413. */
export const MOST_OPERATIONS = 64;

/** What a commit may have of them: room is left for what a read of a key may need beside itself. */
export const MAX_OPERATIONS = MOST_OPERATIONS - 2;

/** Bytes of a request, the servers' default for `txn_max_req_len`. */
export const LARGEST_REQUEST = 524_288;

/**
 * Bytes. The limit for a value alone would be 512 KiB, but a transaction's request has that limit as a whole, and Base64
 * makes 4 bytes of 3. This leaves 17 KB for the keys of the longest kind and what else belongs to an acquire.
 */
export const MAX_VALUE_BYTES = 380_000;

/** UTF-8 needs at most this many bytes for a unit of UTF-16. */
const MOST_BYTES_A_UNIT = 3;

/** In UTF-16 units. So many small requests that share one are within its limit, whatever their text is. */
const SMALL = LARGEST_REQUEST / MOST_BYTES_A_UNIT / MOST_OPERATIONS / 2;

const NONE: readonly never[] = [];
const NO_GUESSES: ReadonlySet<number> = new Set();
const NOTHING_KNOWN: Known = new Map();

/** What is sent of a commit. */
export interface Draft {
  /** The operations as JSON, with commas between them. */
  readonly operations: string;
  /** How many. */
  readonly count: number;
  /** How long they are at most. */
  readonly bytes: number;
  /** Which operations are guesses, by their index. */
  readonly guesses: ReadonlySet<number>;
  /** Where among the results those of the mutations begin, and those of the read. */
  readonly writtenFrom: number;
  readonly readFrom: number;
}

/**
 * A commit made ready for `/v1/txn`, with its values as they were when it was handed over. All operations of
 * a transaction are one entry of the raft log, and none when they all only read.
 */
export class Transaction implements Request {
  /** What is asked of Consul, which cannot count without a read. */
  readonly commit: Commit;
  readonly counts: boolean;
  /** Keys whose state must be read before. */
  readonly unknown: readonly string[];
  readonly #mutations: readonly Operation[];
  /** What there is to send, if nothing has to be known beforehand and nothing is read: it may stand beside others. */
  readonly plain: Draft | undefined;
  /** Something must be read for it, or it is in vain. */
  readonly alone: boolean;

  /** Of a commit that was checked. Throws a `SyncError` `value-too-large` when it does not fit into a request. */
  constructor(given: Commit, lockFlags: bigint) {
    const { when, then, count } = given;
    const commit = count === undefined ? given : { when, then, read: { prefix: count } };
    this.counts = count !== undefined;
    this.commit = commit;
    this.#mutations = commit.then.map((mutation) => mutationOf(mutation, lockFlags));
    this.unknown = this.#unknown();
    const known =
      this.unknown.length === 0 ? NOTHING_KNOWN : new Map(this.unknown.map((key) => [key, undefined]));
    // Before anything is read for it. A guess is one more operation for a key that is there already.
    const surely = this.draft(known);
    const more = this.unknown.reduce((sum, key) => sum + Buffer.byteLength(JSON.stringify(key)) + 100, 0);
    if (surely.bytes + more > LARGEST_REQUEST) {
      throw refused(
        'value-too-large',
        `a commit must not exceed ${LARGEST_REQUEST} bytes with keys and values`,
      );
    }
    const isPlain =
      this.unknown.length === 0 && commit.read === undefined && (commit.then.length > 0 || isLook(commit));
    this.plain = isPlain ? surely : undefined;
    this.alone = !isPlain || this.isOfNobody || this.isHopeless;
  }

  /** In operations. */
  get cost(): number {
    return this.plain?.count ?? MOST_OPERATIONS;
  }

  get bytes(): number {
    return this.plain?.bytes ?? LARGEST_REQUEST;
  }

  /** Whether it puts records under what cannot be a session. */
  get isOfNobody(): boolean {
    return this.commit.then.some(
      (mutation) =>
        mutation.put !== undefined && mutation.session !== undefined && !isSessionId(mutation.session),
    );
  }

  /** A condition that no record can meet. An empty id would match a record without owner. */
  get isHopeless(): boolean {
    return this.commit.when.some(
      (condition) => condition.session !== undefined && !isSessionId(condition.session),
    );
  }

  draft(known: Known): Draft {
    const list = this.#conditions(known);
    const writtenFrom = resultsOf(list);
    list.push(...this.#mutations);
    const readFrom = resultsOf(list);
    const read = this.#read(known);
    if (read !== undefined) list.push(read);
    const operations = list.map(({ json }) => json).join(',');
    return {
      operations,
      count: list.length,
      bytes:
        operations.length < SMALL ? operations.length * MOST_BYTES_A_UNIT : Buffer.byteLength(operations),
      guesses: guessesIn(list),
      writtenFrom,
      readFrom,
    };
  }

  #unknown(): readonly string[] {
    const { when, read } = this.commit;
    const unowned = when.filter((condition) => condition.is === 'unowned');
    const keys = unowned.map(({ key }) => key);
    if (read !== undefined && read.key !== undefined && this.#fate(read.key) === undefined)
      keys.push(read.key);
    return keys.length === 0 ? NONE : [...new Set(keys)];
  }

  #conditions(known: Known): Operation[] {
    const { when, read } = this.commit;
    const operations = when.map((condition) => conditionOf(condition, known));
    if (read === undefined || read.prefix !== undefined) return operations;
    const isConditional = when.some(({ key }) => key === read.key);
    // `get` fails the whole transaction when there is nothing: then that is what has to stay so.
    if (known.has(read.key) && known.get(read.key) === undefined && !isConditional) {
      operations.push(absent(read.key, true));
    }
    return operations;
  }

  #read(known: Known): Operation | undefined {
    const { read } = this.commit;
    if (read === undefined) return undefined;
    if (read.prefix !== undefined) return listed(read.prefix);
    const fate = this.#fate(read.key);
    const there = fate ?? known.get(read.key) !== undefined;
    return there ? got(read.key, fate === undefined) : undefined;
  }

  /** Whether there is a record once the commit is applied, if the commit itself says it. */
  #fate(key: string): boolean | undefined {
    const mutation = this.commit.then.find((each) => keyOf(each) === key);
    if (mutation !== undefined) return mutation.put !== undefined;
    const conditions = this.commit.when.filter((each) => each.key === key);
    if (conditions.some((each) => each.is === 'absent')) return false;
    return conditions.some((each) => each.is === undefined) ? true : undefined;
  }
}

/** Whether nothing is asked but if records are as they were known to be: of thousands of locks held, each is asked so. */
function isLook({ when, then }: Commit): boolean {
  return then.length === 0 && when.length > 0 && when.every((condition) => condition.revision !== undefined);
}

function resultsOf(operations: readonly Operation[]): number {
  let count = 0;
  for (const { results } of operations) count += results;
  return count;
}

function guessesIn(operations: readonly Operation[]): ReadonlySet<number> {
  if (!operations.some(({ guess }) => guess)) return NO_GUESSES;
  return new Set(operations.flatMap(({ guess }, index) => (guess ? [index] : [])));
}
