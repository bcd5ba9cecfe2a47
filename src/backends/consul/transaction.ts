import type { Commit, Condition, Mutation, Revision } from '../../sync/backend.ts';
import { SyncError } from '../../sync/backend.ts';
import { checkKey, quote } from './keys.ts';
import type { Entry } from './record.ts';
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

/** What must be known of a key before the transaction, because Consul has no condition that says it. */
export type Known = ReadonlyMap<string, Entry | undefined>;

/** One operation, as JSON; and how many results it has, where that is certain. */
interface Operation {
  readonly json: string;
  readonly results: 0 | 1;
  /** It only repeats what was read before: if it fails, the commit may still be possible. */
  readonly guess?: boolean;
}

export interface Request {
  readonly body: string;
  /** How many. */
  readonly operations: number;
  /** Those it has conditions on or changes. */
  readonly keys: readonly string[];
  readonly writes: boolean;
  /** Which operations are guesses, by their index. */
  readonly guesses: ReadonlySet<number>;
  /** Which results are records written, by their index; and where the results of the read begin. */
  readonly written: readonly number[];
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
  /** Keys whose owner matters as well, but which most likely have none: read only when that turns out wrong. */
  readonly doubtful: readonly string[];
  readonly #mutations: readonly Operation[];
  /** What there is to send, if nothing has to be known beforehand and nothing is read: it may stand beside others. */
  readonly plain: Request | undefined;

  /** Throws a `SyncError` for what must be refused before any I/O. */
  constructor(commit: Commit, lockFlags: bigint) {
    checkCommit(commit);
    this.commit = commit;
    this.doubtful = commit.then.filter((mutation) => isDoubtful(mutation, commit)).map(keyOf);
    this.#mutations = commit.then.map((mutation) =>
      operationOf(mutation, lockFlags, this.doubtful.includes(keyOf(mutation))),
    );
    const { when, read } = this.commit;
    const unowned = when.filter((condition) => 'is' in condition && condition.is === 'unowned');
    const keys = unowned.map(({ key }) => key);
    if (read !== undefined && 'key' in read && this.#fate(read.key) === undefined) keys.push(read.key);
    this.unknown = [...new Set(keys)];
    // Before anything is read for it. A guess is one more operation for a key that is there already.
    const surely = this.request(new Map(this.unknown.map((key) => [key, undefined])));
    const more = this.unknown.reduce((sum, key) => sum + Buffer.byteLength(JSON.stringify(key)) + 100, 0);
    if (Buffer.byteLength(surely.body) + more > LARGEST_REQUEST) {
      throw new SyncError(
        'value-too-large',
        `a commit must not exceed ${LARGEST_REQUEST} bytes with keys and values`,
      );
    }
    this.plain = surely.writes && this.unknown.length === 0 && read === undefined ? surely : undefined;
  }

  /** The sessions under which it puts records. */
  get sessions(): string[] {
    return this.commit.then.flatMap((mutation) =>
      'put' in mutation && mutation.session !== undefined ? [mutation.session] : [],
    );
  }

  /** A condition that no record can meet. An empty id would match a record without owner. */
  get isHopeless(): boolean {
    return this.commit.when.some((condition) => 'session' in condition && !isSessionId(condition.session));
  }

  request(known: Known): Request {
    const operations = this.#conditions(known);
    const firstMutation = operations.reduce((sum, { results }) => sum + results, 0);
    for (const [i, mutation] of this.commit.then.entries()) {
      const owner = ownerBefore(mutation, this.commit, known);
      if (owner !== undefined) operations.push(unlocked(keyOf(mutation), owner));
      operations.push(...this.#mutations.slice(i, i + 1));
    }
    const readFrom = operations.reduce((sum, { results }) => sum + results, 0);
    const read = this.#read(known);
    if (read !== undefined) operations.push(read);
    if (operations.length > MOST_OPERATIONS) {
      const count = `${operations.length} operations`;
      throw new SyncError(
        'rejected',
        `a commit must not need more than ${MOST_OPERATIONS} operations, this has ${count}`,
      );
    }
    return {
      body: `[${operations.map(({ json }) => json).join(',')}]`,
      operations: operations.length,
      keys: [...this.commit.when.map(({ key }) => key), ...this.commit.then.map(keyOf)],
      writes: this.#mutations.length > 0,
      guesses: new Set(operations.flatMap(({ guess }, index) => (guess ? [index] : []))),
      written: Array.from({ length: readFrom - firstMutation }, (_, i) => firstMutation + i),
      readFrom,
    };
  }

  #conditions(known: Known): Operation[] {
    const read =
      this.commit.read !== undefined && 'key' in this.commit.read ? this.commit.read.key : undefined;
    const { when, then } = this.commit;
    const operations = when
      .filter((condition) => !then.some((mutation) => passesFrom(condition, mutation)))
      .map((condition) => conditionOf(condition, known));
    const isConditional = when.some(({ key }) => key === read);
    // `get` fails the whole transaction when there is nothing: then that is what has to stay so.
    if (read !== undefined && known.has(read) && known.get(read) === undefined && !isConditional) {
      operations.push(absent(read, true));
    }
    return operations;
  }

  #read(known: Known): Operation | undefined {
    const { read } = this.commit;
    if (read === undefined) return undefined;
    if ('prefix' in read) return { json: kv({ Verb: 'get-tree', Key: read.prefix }), results: 1 };
    const there = this.#fate(read.key) ?? known.get(read.key) !== undefined;
    const guess = this.#fate(read.key) === undefined;
    return there ? { json: kv({ Verb: 'get', Key: read.key }), results: 1, guess } : undefined;
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
  for (const { key } of when) checkKey(key);
  const keys = new Set<string>();
  for (const mutation of then) {
    const key = keyOf(mutation);
    checkKey(key);
    if (keys.has(key)) {
      throw new SyncError(
        'invalid-option',
        `a commit must not have two mutations for one key, here ${quote(key)}`,
      );
    }
    keys.add(key);
    if ('put' in mutation && mutation.value.byteLength > MAX_VALUE_BYTES) {
      const size = `${mutation.value.byteLength} bytes`;
      throw new SyncError(
        'value-too-large',
        `the value for ${quote(key)} has ${size}; at most ${MAX_VALUE_BYTES} fit`,
      );
    }
  }
  if (read !== undefined) checkScope(read);
}

function keyOf(mutation: Mutation): string {
  return 'put' in mutation ? mutation.put : mutation.remove;
}

function conditionOf(condition: Condition, known: Known): Operation {
  const { key } = condition;
  if ('revision' in condition) return untouched(key, condition.revision);
  if ('session' in condition) {
    return { json: kv({ Verb: 'check-session', Key: key, Session: condition.session }), results: 1 };
  }
  if (condition.is === 'absent') return absent(key);
  const entry = known.get(key);
  return entry === undefined ? absent(key, true) : untouched(key, entry.modified, true);
}

/** Whether the mutation takes the record from the session that the condition names. */
function passesFrom(condition: Condition, mutation: Mutation): boolean {
  return (
    'put' in mutation &&
    mutation.session !== undefined &&
    'session' in condition &&
    condition.key === mutation.put &&
    condition.session !== mutation.session
  );
}

/** Whether it may take another session's record that the commit only knows by its revision. */
function isDoubtful(mutation: Mutation, { when }: Commit): boolean {
  const conditions = when.filter(({ key }) => key === keyOf(mutation));
  return (
    'put' in mutation &&
    mutation.session !== undefined &&
    conditions.some((condition) => 'revision' in condition) &&
    !conditions.some((condition) => 'session' in condition)
  );
}

/** Who has to be unlocked first: to `lock` what another session owns is refused. */
function ownerBefore(mutation: Mutation, { when }: Commit, known: Known): string | undefined {
  const condition = when.find((each) => passesFrom(each, mutation));
  if (condition !== undefined && 'session' in condition) return condition.session;
  if (!isDoubtful(mutation, { when, then: [] })) return undefined;
  const owner = known.get(keyOf(mutation))?.session;
  return 'put' in mutation && owner !== mutation.session ? owner : undefined;
}

/** It fails like a condition when the record is not that session's, and must come after every condition on it. */
function unlocked(key: string, session: string): Operation {
  return { json: kv({ Verb: 'unlock', Key: key, Session: session }), results: 1 };
}

function absent(key: string, guess = false): Operation {
  return { json: kv({ Verb: 'check-not-exists', Key: key }), results: 0, guess };
}

/** Also beside a removal: `delete-cas` succeeds when the record is gone, which would say that it was untouched. */
function untouched(key: string, revision: Revision, guess = false): Operation {
  return { json: kv({ Verb: 'check-index', Key: key }, { Index: revision }), results: 1, guess };
}

function operationOf(mutation: Mutation, lockFlags: bigint, guess: boolean): Operation {
  if ('remove' in mutation) return { json: kv({ Verb: 'delete', Key: mutation.remove }), results: 0 };
  const { put: Key, value, session } = mutation;
  const Value = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return session === undefined
    ? { json: kv({ Verb: 'set', Key, Value }, { Flags: 0n }), results: 1 }
    : { json: kv({ Verb: 'lock', Key, Value, Session: session }, { Flags: lockFlags }), results: 1, guess };
}

/** Node 20 writes no number above 2^53 exactly, so numbers are put in as text, next to what was made safe. */
function kv(
  strings: Readonly<Record<string, string>>,
  numbers: Readonly<Record<string, bigint>> = {},
): string {
  const members = [
    ...Object.entries(strings).map(([name, value]) => `"${name}":${JSON.stringify(value)}`),
    ...Object.entries(numbers).map(([name, value]) => `"${name}":${BigInt.asUintN(64, value)}`),
  ];
  return `{"KV":{${members.join(',')}}}`;
}
