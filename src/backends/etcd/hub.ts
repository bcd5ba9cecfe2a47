import type { Revision, SyncError } from '../../sync/backend.ts';
import { isAccessRefused } from './errors.ts';
import type { KeyRange } from './scope.ts';
import { Stream, type StreamEnd } from './stream.ts';
import type { Transport } from './transport.ts';
import type { WatchRequest, WatchResponse } from './wire.ts';

/** Why a watch came to its end. It always means: look again. */
export type Wake =
  /** There is, or may be, something new. */
  | { readonly why: 'changed' }
  /**
   * The server refused the watch. The credentials that its stream was opened with may have expired; `final` when
   * those of a newer stream did not suffice either.
   */
  | { readonly why: 'refused'; readonly reason: string; readonly final: boolean }
  /** There was no watch stream to be had. */
  | { readonly why: 'failed'; readonly error: SyncError };

interface Watch {
  readonly from: Revision;
  readonly wake: (wake: Wake) => void;
}

interface Line {
  readonly stream: Stream<WatchRequest, WatchResponse>;
  /** By watch id. */
  readonly watches: Map<string, Watch>;
  /** Ids whose creation the server has not answered yet, in the order of the requests. */
  readonly unanswered: string[];
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

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Wakes once, when something in the range has a revision of `from` or above. Returns what cancels it. */
  watch(range: KeyRange, from: Revision, wake: (wake: Wake) => void): () => void {
    const line = this.#open();
    const id = String(++this.#lastId);
    line.watches.set(id, { from, wake });
    line.unanswered.push(id);
    line.stream.write({ create_request: { ...range, start_revision: String(from), watch_id: id } });
    return () => this.#cancel(line, id);
  }

  /** Nobody is woken; who waits is told by the backend's disposal. */
  close(): void {
    clearTimeout(this.#lingering);
    this.#line?.stream.end();
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
    const line: Line = { stream, watches, unanswered: [], standing: 'untried' };
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
    const isBehind = response.created && BigInt(response.header?.revision ?? 0) + 1n < watch.from;
    if (response.events.length === 0 && !isBehind) return;
    this.#cancel(line, id);
    watch.wake({ why: 'changed' });
  }

  /** The next watch opens a stream with new credentials. Those that run stay where they are. */
  #refuse(line: Line): void {
    if (line === this.#line) this.#line = undefined;
    if (line.standing === 'untried') this.#refusedStreams++;
    line.standing = 'refused';
  }

  #cancel(line: Line, id: string): void {
    if (!line.watches.delete(id)) return;
    line.stream.write({ cancel_request: { watch_id: id } });
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
    const watches = [...line.watches.values()];
    line.watches.clear();
    for (const { wake } of watches) wake(wasAlive ? { why: 'changed' } : { why: 'failed', error });
  }
}
