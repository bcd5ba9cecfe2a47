import { Fifo } from '../../async/fifo.ts';
import { clearTimeout, setImmediate, setTimeout } from '../../async/platform.ts';
import type { Revision } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import { isAccessRefused } from './errors.ts';
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

interface WatchStream {
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
export class Watches {
  readonly #transport: Transport;
  readonly #streams = new Set<WatchStream>();
  #current: WatchStream | undefined;
  #lingering: NodeJS.Timeout | undefined;
  /** Ids are never used twice, so that a late answer wakes nobody else. */
  #lastId = 0;
  /** Streams in a row that took no watch at all. */
  #refusedStreams = 0;

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
    const open = this.#begun();
    const id = String(++this.#lastId);
    open.watches.set(id, watch);
    open.unanswered.push(id);
    const start_revision = String(watch.from ?? 0);
    open.stream.write({ create_request: { ...range, start_revision, watch_id: id } });
    return () => this.#cancel(open, id);
  }

  /** Nobody waits any more. */
  close(): void {
    clearTimeout(this.#lingering);
    for (const { stream } of this.#streams) stream.end();
    this.#current = undefined;
  }

  #begun(): WatchStream {
    clearTimeout(this.#lingering);
    if (this.#current !== undefined) return this.#current;
    const watches = new Map<string, Watch>();
    const stream = new Stream<WatchRequest, WatchResponse>(this.#transport, 'Watch', 'watch', {
      message: (response) => this.#receive(open, response),
      retired: () => this.#retired(open),
      ended: (end) => this.#ended(open, end),
    });
    const open: WatchStream = { stream, watches, unanswered: new Fifo(), unwanted: [], standing: 'untried' };
    this.#streams.add(open);
    this.#current = open;
    return open;
  }

  #receive(open: WatchStream, response: WatchResponse): void {
    const first = response.created ? open.unanswered.shift() : undefined;
    // A refused creation is answered without its id, but in its turn.
    const id = response.watch_id === NO_ID ? (first ?? NO_ID) : response.watch_id;
    const refused = Boolean(response.canceled) && isAccessRefused(response.cancel_reason);
    if (refused) this.#refuse(open);
    else if (response.created) {
      open.standing = 'accepted';
      this.#refusedStreams = 0;
    }
    const watch = open.watches.get(id);
    if (watch === undefined) return;
    if (response.canceled) {
      open.watches.delete(id);
      this.#rest(open);
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
    open.watches.delete(id);
    const removed = removedIn(response.events);
    watch.wake(removed === undefined ? { why: 'changed' } : { why: 'changed', removed });
    this.#takeBack(open, id);
  }

  /** The next watch opens a stream with new credentials. Those that run stay where they are. */
  #refuse(open: WatchStream): void {
    if (open === this.#current) this.#current = undefined;
    if (open.standing === 'untried') this.#refusedStreams++;
    open.standing = 'refused';
  }

  #cancel(open: WatchStream, id: string): void {
    if (open.watches.delete(id)) this.#takeBack(open, id);
  }

  /**
   * Tells the server, but not before whoever was woken has gone on: to write to the stream takes longer than all that follows
   * a wake.
   */
  #takeBack(open: WatchStream, id: string): void {
    open.unwanted.push(id);
    if (open.unwanted.length === 1) {
      setImmediate(() => {
        for (const watch_id of open.unwanted.splice(0)) open.stream.write({ cancel_request: { watch_id } });
      });
    }
    this.#rest(open);
  }

  #rest(open: WatchStream): void {
    if (open.watches.size > 0) return;
    if (open !== this.#current) {
      this.#end(open);
      return;
    }
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => {
      if (this.#current === open) this.#current = undefined;
      this.#end(open);
    }, LINGER).unref();
  }

  #end(open: WatchStream): void {
    this.#streams.delete(open);
    open.stream.end();
  }

  #retired(open: WatchStream): void {
    if (this.#current === open) this.#current = undefined;
    this.#end(open);
    endAll(open, { why: 'changed' });
  }

  /**
   * A stream that had worked is a reconnect, and a reason to read again: the read goes to the next server, and fails
   * by itself if there is none. One that never answered is told as a failure, or a server that takes no streams would
   * be asked without a pause.
   */
  #ended(open: WatchStream, { error, wasAlive }: StreamEnd): void {
    this.#streams.delete(open);
    if (this.#current === open) {
      this.#current = undefined;
      clearTimeout(this.#lingering);
    }
    endAll(open, wasAlive ? { why: 'changed' } : { why: 'failed', error });
  }
}

function endAll({ watches }: WatchStream, news: Wake): void {
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
