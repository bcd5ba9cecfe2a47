import { Fifo } from '../../async/fifo.ts';
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../../async/platform.ts';
import type { Revision } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import { isAccessRefused } from './errors.ts';
import { stopped } from './lifetime.ts';
import type { KeyRange } from './scope.ts';
import { Stream, type StreamEnd } from './stream.ts';
import type { Transport } from './transport.ts';
import type { WatchEvent, WatchRequest, WatchResponse } from './wire.ts';

/** Why a watch came to its end. It always means: look again. */
export type Wake =
  /** There is, or may be, something new. With `removed` it is nothing but that these keys went, at that revision. */
  | {
      readonly why: 'changed';
      readonly removed?: { readonly keys: readonly string[]; readonly at: Revision };
    }
  /**
   * The server refused the watch. The credentials that its stream was opened with may have expired; `final` when
   * those of a newer stream did not suffice either.
   */
  | { readonly why: 'refused'; readonly reason: string; readonly final: boolean }
  /** There was no watch stream to be had. */
  | { readonly why: 'failed'; readonly error: SyncError };

interface Watch {
  /** Without it: from the moment at which the server takes the watch. */
  readonly from: Revision | undefined;
  readonly wake: (wake: Wake) => void;
  readonly opened: (() => void) | undefined;
}

interface Line {
  readonly stream: Stream<WatchRequest, WatchResponse>;
  /** By watch id. */
  readonly watches: Map<string, Watch>;
  /** Ids whose creation the server has not answered yet, in the order of the requests. */
  readonly unanswered: Fifo<string>;
  /** Ids that the server has to be told of: nobody waits for them any more. */
  readonly unwanted: string[];
  /** What the server thought of this stream so far. */
  standing: 'untried' | 'accepted' | 'refused';
}

/** Milliseconds. From one wait of a lock to its next there is a read or two, which should not cost a new stream. */
const LINGER = 2_000;

/** What the server answers with in place of an id. */
const NO_ID = '-1';

/** All watches of a backend, on one stream. A watch ends with its first wake. */
export class WatchHub {
  readonly #transport: Transport;
  #line: Line | undefined;
  #lingering: NodeJS.Timeout | undefined;
  /** Ids are never used twice, so that a late answer wakes nobody else. */
  #lastId = 0;
  /** Streams in a row that took no watch at all. */
  #refusedStreams = 0;
  #closed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Wakes once, when something in the range has a revision of `from` or above. Returns what cancels it. */
  watch(range: KeyRange, from: Revision, wake: (wake: Wake) => void): () => void {
    return this.#watch(range, { from, wake, opened: undefined });
  }

  /**
   * Wakes once, for what comes after `opened`. The server tells at once and in order; with a start in the past, on a
   * store that others write to, it first lets the watch catch up, which it does ten times a second.
   */
  follow(range: KeyRange, opened: () => void, wake: (wake: Wake) => void): () => void {
    return this.#watch(range, { from: undefined, wake, opened });
  }

  #watch(range: KeyRange, watch: Watch): () => void {
    if (this.#closed) {
      const soon = setImmediate(watch.wake, { why: 'failed', error: stopped() });
      return () => clearImmediate(soon);
    }
    const line = this.#open();
    const id = String(++this.#lastId);
    line.watches.set(id, watch);
    line.unanswered.push(id);
    const start_revision = String(watch.from ?? 0);
    line.stream.write({ create_request: { ...range, start_revision, watch_id: id } });
    return () => this.#cancel(line, id);
  }

  /** Whoever still waits is told `stopped`. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#lingering);
    this.#line?.stream.end();
    if (this.#line !== undefined) endAll(this.#line, { why: 'failed', error: stopped() });
    this.#line = undefined;
  }

  #open(): Line {
    clearTimeout(this.#lingering);
    if (this.#line !== undefined) return this.#line;
    const watches = new Map<string, Watch>();
    const stream = new Stream<WatchRequest, WatchResponse>(this.#transport, 'Watch', 'watch', {
      message: (response) => this.#receive(line, response),
      ended: (end) => this.#ended(line, end),
    });
    const line: Line = { stream, watches, unanswered: new Fifo(), unwanted: [], standing: 'untried' };
    this.#line = line;
    return line;
  }

  #receive(line: Line, response: WatchResponse): void {
    const first = response.created ? line.unanswered.shift() : undefined;
    // A refused creation is answered without its id, but in its turn.
    const id = response.watch_id === NO_ID ? (first ?? NO_ID) : response.watch_id;
    const refused = Boolean(response.canceled) && isAccessRefused(response.cancel_reason);
    if (refused) this.#refuse(line);
    else if (response.created) {
      line.standing = 'accepted';
      this.#refusedStreams = 0;
    }
    const watch = line.watches.get(id);
    if (watch === undefined) return;
    if (response.canceled) {
      line.watches.delete(id);
      this.#rest(line);
      // No reason, or a compacted revision: nothing is wrong, but what was missed has to be read.
      const reason = response.cancel_reason;
      const final = this.#refusedStreams > 1;
      watch.wake(refused ? { why: 'refused', reason, final } : { why: 'changed' });
      return;
    }
    // A store that is behind the position was emptied or restored: the events to come may be those of before.
    const revision = BigInt(response.header?.revision ?? 0);
    const isBehind = response.created && watch.from !== undefined && revision + 1n < watch.from;
    if (response.created) watch.opened?.();
    if (response.events.length === 0 && !isBehind) return;
    line.watches.delete(id);
    const removed = removedIn(response.events);
    watch.wake(removed === undefined ? { why: 'changed' } : { why: 'changed', removed });
    this.#takeBack(line, id);
  }

  /** The next watch opens a stream with new credentials. Those that run stay where they are. */
  #refuse(line: Line): void {
    if (line === this.#line) this.#line = undefined;
    if (line.standing === 'untried') this.#refusedStreams++;
    line.standing = 'refused';
  }

  #cancel(line: Line, id: string): void {
    if (line.watches.delete(id)) this.#takeBack(line, id);
  }

  /**
   * Tells the server, but not before whoever was woken has gone on: to write to the stream takes longer than all that follows
   * a wake.
   */
  #takeBack(line: Line, id: string): void {
    line.unwanted.push(id);
    if (line.unwanted.length === 1) {
      setImmediate(() => {
        for (const watch_id of line.unwanted.splice(0)) line.stream.write({ cancel_request: { watch_id } });
      });
    }
    this.#rest(line);
  }

  #rest(line: Line): void {
    if (line.watches.size > 0) return;
    if (line !== this.#line) {
      line.stream.end();
      return;
    }
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => {
      if (this.#line === line) this.#line = undefined;
      line.stream.end();
    }, LINGER).unref();
  }

  /**
   * A stream that had worked is a reconnect, and a reason to read again: the read goes to the next server, and fails
   * by itself if there is none. One that never answered is told as a failure, or a server that takes no streams would
   * be asked without a pause.
   */
  #ended(line: Line, { error, wasAlive }: StreamEnd): void {
    if (this.#line === line) {
      this.#line = undefined;
      clearTimeout(this.#lingering);
    }
    endAll(line, wasAlive ? { why: 'changed' } : { why: 'failed', error });
  }
}

function endAll({ watches }: Line, news: Wake): void {
  const wakes = [...watches.values()];
  watches.clear();
  for (const { wake } of wakes) wake(news);
}

/** What went, if nothing else happened. */
function removedIn(events: readonly WatchEvent[]): { keys: string[]; at: Revision } | undefined {
  const keys: string[] = [];
  let at = 0n;
  for (const { type, kv } of events) {
    if (type !== 'Delete' || kv === null) return undefined;
    keys.push(kv.key.toString());
    at = BigInt(kv.mod_revision);
  }
  return keys.length === 0 ? undefined : { keys, at };
}
