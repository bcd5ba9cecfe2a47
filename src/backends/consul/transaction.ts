import { type Commit, REFUSED, SyncError } from '../../sync/backend.ts';
import { checkKey, quote } from './keys.ts';
import {
  absent,
  conditionOf,
  got,
  type Known,
  keyOf,
  listed,
  mutationOf,
  type Operation,
} from './operation.ts';
import { checkScope } from './scope.ts';
import { isSessionId } from './sessions.ts';

/** Operations in one transaction; more are answered with 413. */
export const MOST_OPERATIONS = 64;

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

export interface Request {
  /** The operations as JSON, with commas between them. */
  readonly operations: string;
  /** How many. */
  readonly count: number;
  /** How long they are at most. */
  readonly bytes: number;
  readonly writes: boolean;
  /** Which operations are guesses, by their index. */
  readonly guesses: ReadonlySet<number>;
  /** Where among the results those of the mutations begin, and those of the read. */
  readonly writtenFrom: number;
  readonly readFrom: number;
}

/**
 * A commit made ready for `/v1/txn`: checked, and with its values as they were when it was handed over. All operations of
 * a transaction are one entry of the raft log, and none when they all only read.
 */
export class Transaction {
  readonly commit: Commit;
  /** Keys whose state must be read before. */
  readonly unknown: readonly string[];
  readonly #mutations: readonly Operation[];
  /** What there is to send, if nothing has to be known beforehand and nothing is read: it may stand beside others. */
  readonly plain: Request | undefined;

  /** Throws a `SyncError` for what must be refused before any I/O. */
  constructor(commit: Commit, lockFlags: bigint) {
    checkCommit(commit);
    this.commit = commit;
    this.#mutations = commit.then.map((mutation) => mutationOf(mutation, lockFlags));
    this.unknown = this.#unknown();
    const known =
      this.unknown.length === 0 ? NOTHING_KNOWN : new Map(this.unknown.map((key) => [key, undefined]));
    // Before anything is read for it. A guess is one more operation for a key that is there already.
    const surely = this.request(known);
    const more = this.unknown.reduce((sum, key) => sum + Buffer.byteLength(JSON.stringify(key)) + 100, 0);
    if (surely.bytes + more > LARGEST_REQUEST) {
      throw new SyncError(
        'value-too-large',
        `a commit must not exceed ${LARGEST_REQUEST} bytes with keys and values`,
        REFUSED,
      );
    }
    this.plain = surely.writes && this.unknown.length === 0 && commit.read === undefined ? surely : undefined;
  }

  /** Whether it puts records under what cannot be a session. */
  get isOfNobody(): boolean {
    return this.commit.then.some(
      (mutation) => 'put' in mutation && mutation.session !== undefined && !isSessionId(mutation.session),
    );
  }

  /** A condition that no record can meet. An empty id would match a record without owner. */
  get isHopeless(): boolean {
    return this.commit.when.some((condition) => 'session' in condition && !isSessionId(condition.session));
  }

  request(known: Known): Request {
    const list = this.#conditions(known);
    const writtenFrom = resultsOf(list);
    list.push(...this.#mutations);
    const readFrom = resultsOf(list);
    const read = this.#read(known);
    if (read !== undefined) list.push(read);
    if (list.length > MOST_OPERATIONS) {
      throw new SyncError(
        'rejected',
        `a commit must not need more than ${MOST_OPERATIONS} operations, this has ${list.length} operations`,
        REFUSED,
      );
    }
    const operations = list.map(({ json }) => json).join(',');
    return {
      operations,
      count: list.length,
      bytes:
        operations.length < SMALL ? operations.length * MOST_BYTES_A_UNIT : Buffer.byteLength(operations),
      writes: this.#mutations.length > 0,
      guesses: guessesIn(list),
      writtenFrom,
      readFrom,
    };
  }

  #unknown(): readonly string[] {
    const { when, read } = this.commit;
    const unowned = when.filter((condition) => 'is' in condition && condition.is === 'unowned');
    const keys = unowned.map(({ key }) => key);
    if (read !== undefined && 'key' in read && this.#fate(read.key) === undefined) keys.push(read.key);
    return keys.length === 0 ? NONE : [...new Set(keys)];
  }

  #conditions(known: Known): Operation[] {
    const { when, read } = this.commit;
    const operations = when.map((condition) => conditionOf(condition, known));
    if (read === undefined || 'prefix' in read) return operations;
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
    if ('prefix' in read) return listed(read.prefix);
    const fate = this.#fate(read.key);
    const there = fate ?? known.get(read.key) !== undefined;
    return there ? got(read.key, fate === undefined) : undefined;
  }

  /** Whether there is a record once the commit is applied, if the commit itself says it. */
  #fate(key: string): boolean | undefined {
    const mutation = this.commit.then.find((each) => keyOf(each) === key);
    if (mutation !== undefined) return 'put' in mutation;
    const conditions = this.commit.when.filter((each) => each.key === key);
    if (conditions.some((each) => 'is' in each && each.is === 'absent')) return false;
    return conditions.some((each) => !('is' in each)) ? true : undefined;
  }
}

function checkCommit({ when, then, read }: Commit): void {
  const keys = then.length > 1 ? new Set<string>() : undefined;
  let checked: string | undefined;
  for (const { key } of when) {
    if (key !== checked) checkKey(key);
    checked = key;
  }
  for (const mutation of then) {
    const key = keyOf(mutation);
    if (key !== checked) checkKey(key);
    if (keys?.has(key)) {
      throw new SyncError(
        'invalid-option',
        `a commit must not have two mutations for one key, here ${quote(key)}`,
        REFUSED,
      );
    }
    keys?.add(key);
    if ('put' in mutation && mutation.value.byteLength > MAX_VALUE_BYTES) {
      const size = `${mutation.value.byteLength} bytes`;
      throw new SyncError(
        'value-too-large',
        `the value for ${quote(key)} has ${size}; at most ${MAX_VALUE_BYTES} fit`,
        REFUSED,
      );
    }
  }
  if (read !== undefined) checkScope(read);
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
