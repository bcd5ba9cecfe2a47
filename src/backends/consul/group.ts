import { isSyncError, SyncError } from '../../sync/backend.ts';
import type { Answer } from './client.ts';
import type { Entry } from './record.ts';
import { LARGEST_REQUEST, MOST_OPERATIONS, type Request } from './transaction.ts';

/** What became of a member: its part of the results, or that it has to go by itself. */
export type Fate = readonly Entry[] | 'alone';

export interface GroupHost {
  send(body: string, signal: AbortSignal): Promise<Answer>;
  results(answer: Answer): readonly Entry[];
  /** Which operations were refused, by their index. */
  refused(answer: Answer): readonly number[];
}

interface Member {
  readonly request: Request;
  readonly signal: AbortSignal;
  settle(fate: Fate): void;
  fail(error: unknown): void;
  /** Told when nobody waits for it any more. */
  onLeave: () => void;
}

/**
 * Commits that are issued together go to the server together, as one transaction and one entry of the raft log. Consul
 * applies all of it or nothing: then it names the operations at fault, their commits go alone, and the others together
 * again. Whatever is issued in one turn of the event loop's microtasks is together; a lone commit does not wait.
 */
export class Group {
  readonly #host: GroupHost;
  #members: Member[] = [];

  constructor(host: GroupHost) {
    this.#host = host;
  }

  join(request: Request, signal: AbortSignal): Promise<Fate> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        signal.removeEventListener('abort', onAbort);
        finish();
        member.onLeave();
      };
      const onAbort = (): void => end(() => reject(signal.reason));
      const member: Member = {
        request,
        signal,
        settle: (fate) => end(() => resolve(fate)),
        fail: (error) => end(() => reject(error)),
        onLeave: () => {},
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#members.push(member);
      if (this.#members.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const members = this.#members.filter(({ signal }) => !signal.aborted);
    this.#members = [];
    for (const batch of split(members)) void this.#send(batch);
  }

  /** Never rejects. Ends at the latest when nobody waits for any of it, as after the disposal of the backend. */
  async #send(batch: readonly Member[]): Promise<void> {
    const request = new AbortController();
    const waiting = new Set(batch);
    for (const member of batch) {
      member.onLeave = () => {
        waiting.delete(member);
        if (waiting.size === 0) request.abort(new SyncError('stopped', 'nobody waits any more'));
      };
    }
    let members = batch;
    try {
      while (members.length > 1) {
        const body = `[${members.map(({ request }) => request.body.slice(1, -1)).join(',')}]`;
        const answer = await this.#host.send(body, request.signal);
        if (answer.status === 200) {
          settle(members, this.#host.results(answer));
          return;
        }
        const losers = at(members, this.#host.refused(answer));
        // Refused for a reason of its own.
        if (losers.size === 0) break;
        for (const loser of losers) loser.settle('alone');
        members = members.filter((member) => !losers.has(member));
      }
    } catch (error) {
      if (!REFUSALS.some((code) => isSyncError(error, code))) {
        for (const member of members) member.fail(error);
        return;
      }
    }
    for (const member of members) member.settle('alone');
  }
}

/** Nothing of the whole was done. */
const REFUSALS = ['permission-denied', 'value-too-large', 'rejected'] as const;

function settle(members: readonly Member[], results: readonly Entry[]): void {
  let from = 0;
  for (const { request, settle } of members) {
    settle(results.slice(from, from + request.readFrom));
    from += request.readFrom;
  }
}

function at(members: readonly Member[], operations: readonly number[]): Set<Member> {
  const found = new Set<Member>();
  let first = 0;
  for (const member of members) {
    const end = first + member.request.operations;
    if (operations.some((index) => index >= first && index < end)) found.add(member);
    first = end;
  }
  return found;
}

/** In as few transactions as it takes, never two commits for one key in one of them. */
function split(members: readonly Member[]): Member[][] {
  const batches: { members: Member[]; keys: Set<string>; operations: number; bytes: number }[] = [];
  for (const member of members) {
    const { request } = member;
    const bytes = Buffer.byteLength(request.body);
    const takes = (batch: (typeof batches)[number]): boolean =>
      batch.operations + request.operations <= MOST_OPERATIONS &&
      batch.bytes + bytes < LARGEST_REQUEST - MOST_OPERATIONS &&
      !request.keys.some((key) => batch.keys.has(key));
    // Only the youngest are looked at: many commits for one key must not become a square of looks.
    let batch = batches.slice(-4).find(takes);
    if (batch === undefined) {
      batch = { members: [], keys: new Set(), operations: 0, bytes: 0 };
      batches.push(batch);
    }
    batch.members.push(member);
    batch.operations += request.operations;
    batch.bytes += bytes;
    for (const key of request.keys) batch.keys.add(key);
  }
  return batches.map(({ members }) => members);
}
