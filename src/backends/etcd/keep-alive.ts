import { systemClock } from '../../async/clock.ts';
import { monotonic } from '../../async/platform.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { SyncError } from '../../contract/errors.ts';
import { Stream, type StreamEnd } from './stream.ts';
import type { Transport } from './transport.ts';
import type { LeaseResponse } from './wire.ts';

/** One that was sent, and the answer of which has yet to come: also when nobody waits for it, since it is not that of a later one. */
interface Sent {
  readonly lease: string;
  renewal: Renewal | undefined;
}

/** What a caller waits for. */
class Renewal extends SettleOnce<'renewed' | 'gone'> {
  readonly lease: string;
  /** Where it was sent, once or twice, and has no answer yet. The first one counts. */
  readonly streams = new Set<LeaseStream>();
  latest: LeaseStream | undefined;
  /** On the monotonic clock. */
  since = 0;
  isRepeated = false;

  constructor(lease: string) {
    super();
    this.lease = lease;
  }
}

interface LeaseStream {
  readonly stream: Stream<{ readonly ID: string }, LeaseResponse>;
  /** In the order of their requests. */
  readonly sent: Set<Sent>;
}

/** The part of the request timeout after which a renewal that is given up without an answer puts the connection in doubt. */
const PATIENCE = 10;

/**
 * Renewals of all sessions, on one stream: a renewal costs one message each way, and nothing in the store.
 *
 * An answer belongs to the oldest request for its lease, because the server answers in order. Were it taken for a
 * later one, a session would be believed in for longer than the server keeps it.
 */
export class KeepAlive {
  readonly #transport: Transport;
  #open: LeaseStream | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  renew(lease: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    const { requestTimeout } = this.#transport;
    const patience = requestTimeout / 2;
    const renewal = new Renewal(lease);
    this.#send(renewal);
    const late = (): void => {
      const address = renewal.latest?.stream.address;
      const problem = `etcd at ${address} did not renew within ${requestTimeout} ms`;
      renewal.reject(new SyncError('unavailable', problem));
    };
    return renewal
      .after(systemClock, patience, () => {
        renewal.after(systemClock, patience, late);
        // If the connection is left for it, the stream is told, and all that wait on it go on by another one.
        renewal.latest?.stream.silent(renewal.since);
      })
      .finally(() => this.#left(renewal))
      .follow(signal).promise;
  }

  /** Without a renewal under way there is no need for a stream. */
  rest(): void {
    if (this.#open?.sent.size === 0) this.close();
  }

  close(): void {
    this.#open?.stream.end();
    this.#open = undefined;
  }

  #send(renewal: Renewal): void {
    const { lease } = renewal;
    this.#open ??= this.#begin();
    renewal.streams.add(this.#open);
    renewal.latest = this.#open;
    renewal.since = monotonic();
    this.#open.sent.add({ lease, renewal });
    this.#open.stream.write({ ID: lease });
  }

  #begin(): LeaseStream {
    const open: LeaseStream = {
      stream: new Stream<{ readonly ID: string }, LeaseResponse>(this.#transport, 'Lease', 'leaseKeepAlive', {
        message: (response) => this.#receive(open, response),
        retired: () => this.#retired(open),
        ended: (end) => this.#ended(open, end),
      }),
      sent: new Set(),
    };
    return open;
  }

  #receive(open: LeaseStream, { ID, TTL }: LeaseResponse): void {
    for (const each of open.sent) {
      if (each.lease !== ID) continue;
      open.sent.delete(each);
      each.renewal?.streams.delete(open);
      // A lease that is gone is no error to the server: its answer has no TTL.
      each.renewal?.resolve(Number(TTL) > 0 ? 'renewed' : 'gone');
      if (open !== this.#open) endIfIdle(open);
      return;
    }
  }

  /** A renewal may be repeated: it counts from when it was asked for. */
  #retired(open: LeaseStream): void {
    if (this.#open === open) this.#open = undefined;
    for (const { renewal } of [...open.sent]) {
      if (renewal === undefined || renewal.isRepeated) continue;
      renewal.isRepeated = true;
      this.#send(renewal);
    }
    endIfIdle(open);
  }

  #ended(open: LeaseStream, { error }: StreamEnd): void {
    this.#retired(open);
    const sent = [...open.sent];
    open.sent.clear();
    for (const { renewal } of sent) {
      renewal?.streams.delete(open);
      if (renewal?.streams.size === 0) renewal.reject(error);
    }
  }

  /** Given up without an answer: the next renewal must not wait behind a stream that may be dead. */
  #left(renewal: Renewal): void {
    const { latest, streams, since } = renewal;
    for (const open of streams) {
      for (const each of open.sent) if (each.renewal === renewal) each.renewal = undefined;
      if (this.#open === open) this.#open = undefined;
      endIfIdle(open);
    }
    if (latest === undefined || !streams.has(latest)) return;
    // Not for a caller that gave up at once, whatever the connection was like.
    if (monotonic() - since >= this.#transport.requestTimeout / PATIENCE) latest.stream.silent(since);
  }
}

function endIfIdle({ stream, sent }: LeaseStream): void {
  for (const { renewal } of sent) if (renewal !== undefined) return;
  stream.end();
}
