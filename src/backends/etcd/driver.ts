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
  StoredRecord,
} from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Cancel, Done, Driver, Lane, Look, News, Request, Verdict } from '../kit/driver.ts';
import { textKeys } from '../kit/keys.ts';
import {
  boundOf,
  exactly,
  type Found,
  isBounded,
  type LookAt,
  lookAtPeers,
  type Peers,
  peersOf,
  Steps,
} from './bounded.ts';
import { badResponse, isLeaseMissing, isOfOne, isRefusal } from './errors.ts';
import type { EncodedRequest } from './exchange.ts';
import { follow } from './follow.ts';
import { lockPath } from './keys.ts';
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
  readonly keys = textKeys;
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
    const steps = new Steps();
    if (requests.length === 1 && only !== undefined) {
      return steps.first(
        this.#transport.send(transaction(only), {
          answered: (reply) => this.#judge(requests, [reply], reply.revision, done, steps),
          // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
          expected: () => done([SESSION_GONE]),
          failed: done,
        }),
      );
    }
    return steps.first(
      this.#transport.send(group(requests), {
        answered: ({ parts = [], revision }) =>
          parts.length === requests.length
            ? this.#judge(requests, parts, revision, done, steps)
            : done(withoutParts()),
        expected: () => done(requests.map(() => 'alone')),
        failed: done,
      }),
    );
  }

  /** The server looks at the rights to each. */
  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel {
    const steps = new Steps();
    const answered = (replies: readonly RangeReply[]): void => {
      if (replies.length !== scopes.length) {
        done(withoutParts());
        return;
      }
      if (!scopes.some(isBounded)) {
        done(scopes.map((scope, n) => resultOf(scope, replies[n] as RangeReply)));
        return;
      }
      const found = scopes.map((scope, n): Found => foundBy(scope, replies[n] as RangeReply));
      lookAtPeers(found, this.#look, steps, done, (exact) =>
        done(scopes.map((scope, n) => resultOf(scope, replies[n] as RangeReply, exact[n]))),
      );
    };
    return steps.first(this.#ranges(scopes, answered, done, () => done(scopes.map(() => 'alone'))));
  }

  follow(scope: Scope, since: Cursor, news: (news: News) => void, look: Look): Cancel {
    return follow(this.#watches, scope, since, news, look);
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return encodeCursor({ revision });
  }

  readonly #look: LookAt = (peers, told) =>
    this.#ranges(
      peers,
      (replies) => {
        if (replies.length === peers.length) told.shown(replies.map(({ records }) => records));
        else told.failed(withoutParts());
      },
      told.failed,
      () => told.failed(withoutParts()),
    );

  #ranges(
    scopes: readonly (Scope | Peers)[],
    answered: (replies: readonly RangeReply[]) => void,
    failed: (error: SyncError) => void,
    expected: () => void,
  ): Cancel {
    const [only] = scopes;
    return scopes.length === 1 && only !== undefined
      ? this.#transport.send(range(only), { answered: (reply) => answered([reply]), failed })
      : this.#transport.send(ranges(scopes), { answered, expected, failed });
  }

  #judge(
    requests: readonly Prepared[],
    outcomes: readonly TxnOutcome[],
    revision: Revision,
    done: Done<CommitResult>,
    steps: Steps,
  ): void {
    if (!requests.some(({ commit }) => isBounded(commit.read))) {
      done(requests.map(({ commit }, n) => verdictOf(commit, outcomes[n] as TxnOutcome, revision)));
      return;
    }
    const found = requests.map(({ commit }, n): Found => {
      return { scope: commit.read, records: outcomes[n]?.records ?? [], asOf: revision };
    });
    const verdict = (n: number, exact: readonly StoredRecord[]): Verdict<CommitResult> => {
      const { commit } = requests[n] as Prepared;
      return verdictOf(commit, outcomes[n] as TxnOutcome, revision, exact);
    };
    const failed = (error: SyncError): void => {
      const verdicts = found.map((each, n): Verdict<CommitResult> => {
        if (peersOf(each) === undefined) return verdict(n, exactly(each, undefined));
        // The look changes nothing, but the commit may have.
        const outcome = outcomes[n]?.succeeded ? 'unknown' : error.outcome;
        return new SyncError(error.code, error.message, { cause: error.cause, outcome });
      });
      done(verdicts);
    };
    lookAtPeers(found, this.#look, steps, failed, (exact) => done(exact.map((each, n) => verdict(n, each))));
  }

  async end(): Promise<void> {
    this.#watches.close();
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

function range(scope: Scope | Peers): EncodedRequest<RangeReply> {
  return { path: RANGE, request: encodeRange(scope), repeatable: true, decode: decodeRange };
}

function ranges(scopes: readonly (Scope | Peers)[]): EncodedRequest<RangeReply[]> {
  const request = encodeReads(scopes);
  return { path: TXN, request, repeatable: true, decode: decodeReads, expects: isOfOne };
}

function verdictOf(
  commit: Commit,
  { succeeded, records, count }: TxnOutcome,
  revision: Revision,
  read = records,
): Verdict<CommitResult> {
  const isCounted = succeeded && commit.count !== undefined;
  if (commit.read === undefined && !isCounted) {
    return succeeded ? { ok: true, revision } : { ok: false, why: 'conflict' };
  }
  if (records === undefined || read === undefined)
    return badResponse('the server', 'a range without records');
  if (!succeeded) return { ok: false, why: 'conflict', read };
  return isCounted ? { ok: true, revision, count } : { ok: true, revision, read };
}

function foundBy(scope: Scope, { records, revision }: RangeReply): Found {
  return { scope, records, asOf: revision };
}

function resultOf(scope: Scope, reply: RangeReply, records = reply.records): QueryResult {
  const more = isBounded(scope) ? reply.records.length > boundOf(scope) : reply.more;
  return { records, at: encodeCursor(positionOf(scope, { ...reply, records, more })) };
}

function withoutParts(): SyncError {
  return badResponse('the server', 'a transaction without its parts');
}
