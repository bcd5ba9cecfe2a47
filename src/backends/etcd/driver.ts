import { Window } from '../../async/window.ts';
import type {
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Cancel, Done, Driver, Lane, Look, News, Request, Verdict } from '../kit/driver.ts';
import { badResponse, isLeaseMissing, isOfOne, isRefusal } from './errors.ts';
import type { EncodedRequest } from './exchange.ts';
import { follow } from './follow.ts';
import { keys, lockPath } from './keys.ts';
import { mayGroup, type Resolved } from './options.ts';
import {
  decodeRange,
  decodeReads,
  decodeTxn,
  type RangeReply,
  type TxnOutcome,
  type TxnReply,
} from './reply.ts';
import { encodeGroup, encodeRange, encodeReads, encodeTxn, RANGE, TXN } from './request.ts';
import { encodeCursor, positionOf } from './scope.ts';
import { Sessions } from './sessions.ts';
import { Transport } from './transport.ts';
import { Watches } from './watches.ts';

const traits: BackendTraits = {
  name: 'etcd',
  contention: 'queue',
  // The server raises anything below 2 s without a word. It would take centuries; a session that outlives its
  // process by more than a day is a mistake.
  ttl: { min: 2_000, max: 24 * 60 * 60 * 1_000 },
  maxLockDelay: 0,
  // The server's limit is 1.5 MiB for a whole request.
  maxValueBytes: 1024 * 1024,
  // The server's default for `--max-txn-ops`.
  maxOperations: 128,
  fencing: 'durable',
  wakes: 'pushed',
};

/**
 * The server allows 128 operations (`--max-txn-ops`): those of a request, and with them those of each nested in it. One of
 * the request's own makes it look at who asks.
 */
const MOST_MEMBERS = 100;
const MOST_OPERATIONS = 27;

/** Below the server's default for `--max-request-bytes`, which is 1.5 MiB. */
const MOST_BYTES = 1024 * 1024;

/** Bytes that a commit costs in a group on top of itself. */
const OVERHEAD = 16;

/** Requests under way at a time, each of up to a hundred commits or reads: enough to keep a server at 50 ms distance busy. */
const MOST_UNDER_WAY = 16;
/** Where commits may not travel together. */
const MOST_LONE_WRITES = 128;

/** A commit, encoded when it was asked for: the values are those of that moment. */
interface Prepared extends Request {
  readonly encoded: Buffer;
}

/** A session is a lease, and a commit a transaction; those that are issued together are nested in one. */
export class EtcdDriver implements Driver<Prepared> {
  readonly traits = traits;
  readonly keys = keys;
  readonly lanes: { readonly writes: Lane; readonly reads: Lane };
  readonly #resolved: Resolved;
  readonly #alone: boolean;
  readonly #transport: Transport;
  readonly #sessions: Sessions;
  readonly #watches: Watches;

  constructor(resolved: Resolved) {
    this.#resolved = resolved;
    this.#alone = !mayGroup(resolved);
    this.#transport = new Transport(resolved);
    this.#sessions = new Sessions(this.#transport);
    this.#watches = new Watches(this.#transport);
    this.lanes = {
      writes: {
        window: new Window(this.#alone ? MOST_LONE_WRITES : MOST_UNDER_WAY),
        limits: { cost: MOST_MEMBERS, bytes: MOST_BYTES },
      },
      // A hundred reads in one transaction cost the server and us less than a tenth of what they cost one by one.
      reads: {
        window: new Window(MOST_UNDER_WAY),
        limits: { cost: MOST_MEMBERS, bytes: MOST_BYTES / 2 },
      },
    };
  }

  lockPath(key: string): string {
    return lockPath(key, this.#resolved.lockName);
  }

  open(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    return this.#sessions.open(options, signal);
  }

  renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#sessions.renew(id, signal);
  }

  close(id: string, signal: AbortSignal): Promise<void> {
    return this.#sessions.close(id, signal);
  }

  prepare(commit: Commit): Prepared {
    const encoded = encodeTxn(commit);
    const operations = Math.max(commit.when.length, commit.then.length + 1);
    return {
      commit,
      encoded,
      alone: this.#alone,
      bytes: encoded.length + OVERHEAD,
      cost: operations > MOST_OPERATIONS ? MOST_MEMBERS : 1,
    };
  }

  /** Sent once: a repetition could not tell its own first run from somebody else's. */
  write(requests: readonly Prepared[], done: Done<CommitResult>): Cancel {
    const [only] = requests;
    if (requests.length === 1 && only !== undefined) {
      return this.#transport.send(transaction(only), {
        answered: (reply) => done([verdictOf(only.commit, reply, reply.revision)]),
        // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
        expected: () => done([SESSION_GONE]),
        failed: done,
      });
    }
    return this.#transport.send(group(requests), {
      answered: ({ parts = [], revision }) =>
        done(
          parts.length === requests.length
            ? requests.map(({ commit }, n) => verdictOf(commit, parts[n] as TxnOutcome, revision))
            : withoutParts(),
        ),
      expected: () => done(requests.map(() => 'alone')),
      failed: done,
    });
  }

  /** The server looks at the rights to each. */
  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel {
    const [only] = scopes;
    if (scopes.length === 1 && only !== undefined) {
      return this.#transport.send(range(only), {
        answered: (reply) => done([resultOf(only, reply)]),
        failed: done,
      });
    }
    return this.#transport.send(ranges(scopes), {
      answered: (replies) =>
        done(
          replies.length === scopes.length
            ? scopes.map((scope, n) => resultOf(scope, replies[n] as RangeReply))
            : withoutParts(),
        ),
      expected: () => done(scopes.map(() => 'alone')),
      failed: done,
    });
  }

  follow(scope: Scope, since: Cursor, news: (news: News) => void, look: Look): Cancel {
    return follow(this.#watches, scope, since, news, look);
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return encodeCursor({ revision });
  }

  async end(): Promise<void> {
    this.#watches.close(new SyncError('stopped', 'the etcd backend was disposed'));
    this.#sessions.end();
    this.#transport.close();
  }
}

const SESSION_GONE: CommitResult = { ok: false, why: 'session-gone' };

function transaction({ commit, encoded }: Prepared): EncodedRequest<TxnReply> {
  const repeatable = commit.then.length === 0;
  return { path: TXN, request: encoded, repeatable, decode: decodeTxn, expects: isLeaseMissing };
}

function group(requests: readonly Prepared[]): EncodedRequest<TxnReply> {
  const request = encodeGroup(requests.map(({ encoded }) => encoded));
  const repeatable = requests.every(({ commit }) => commit.then.length === 0);
  return { path: TXN, request, repeatable, decode: decodeTxn, expects: isRefusal };
}

function range(scope: Scope): EncodedRequest<RangeReply> {
  return { path: RANGE, request: encodeRange(scope), repeatable: true, decode: decodeRange };
}

function ranges(scopes: readonly Scope[]): EncodedRequest<RangeReply[]> {
  const request = encodeReads(scopes);
  return { path: TXN, request, repeatable: true, decode: decodeReads, expects: isOfOne };
}

function verdictOf(
  commit: Commit,
  { succeeded, records, count }: TxnOutcome,
  revision: Revision,
): Verdict<CommitResult> {
  const isCounted = succeeded && commit.count !== undefined;
  if (commit.read === undefined && !isCounted) {
    return succeeded ? { ok: true, revision } : { ok: false, why: 'conflict' };
  }
  if (records === undefined) return badResponse('the server', 'a range without records');
  if (!succeeded) return { ok: false, why: 'conflict', read: records };
  return isCounted ? { ok: true, revision, count } : { ok: true, revision, read: records };
}

function resultOf(scope: Scope, shown: RangeReply): QueryResult {
  return { records: shown.records, at: encodeCursor(positionOf(scope, shown)) };
}

function withoutParts(): SyncError {
  return badResponse('the server', 'a transaction without its parts');
}
