import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import { SyncError } from '../../contract/errors.ts';
import { Stream, type StreamEnd } from './stream.ts';
import type { Transport } from './transport.ts';
import type { LeaseResponse } from './wire.ts';

interface Renewal {
  readonly lease: string;
  /** Nobody waits for it any more, but its answer has yet to come and is not that of a later one. */
  abandoned: boolean;
  resolve(result: 'renewed' | 'gone'): void;
  reject(error: SyncError): void;
}

interface Line {
  readonly stream: Stream<{ readonly ID: string }, LeaseResponse>;
  /** In the order of their requests. */
  readonly renewals: Set<Renewal>;
}

/** The part of the request timeout after which a renewal without an answer puts the connection in doubt. */
const PATIENCE = 10;

/**
 * Renewals of all sessions, on one stream: a renewal costs one message each way, and nothing in the store.
 *
 * An answer belongs to the oldest request for its lease, because the server answers in order. Were it taken for a
 * later one, a session would be believed in for longer than the server keeps it.
 */
export class KeepAlive {
  readonly #transport: Transport;
  #line: Line | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  renew(lease: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#transport.lifetime.run<'renewed' | 'gone'>(signal, ({ resolve, reject }) => {
      const { requestTimeout } = this.#transport;
      const line = this.#open();
      const renewal: Renewal = { lease, abandoned: false, resolve, reject };
      const since = monotonic();
      const timer = setTimeout(() => {
        reject(
          new SyncError(
            'unavailable',
            `etcd at ${line.stream.address} did not renew within ${requestTimeout} ms`,
          ),
        );
      }, requestTimeout);
      line.renewals.add(renewal);
      line.stream.write({ ID: lease });
      return () => {
        clearTimeout(timer);
        if (!line.renewals.has(renewal)) return;
        // Given up without an answer. The next renewal must not wait behind a stream that may be dead.
        renewal.abandoned = true;
        if (this.#line === line) this.#line = undefined;
        endIfIdle(line);
        // Not for a caller that gave up at once, whatever the connection was like.
        if (monotonic() - since >= requestTimeout / PATIENCE) line.stream.silent(since);
      };
    });
  }

  /** Without a renewal under way there is no need for a stream. */
  rest(): void {
    if (this.#line?.renewals.size === 0) this.close();
  }

  close(): void {
    this.#line?.stream.end();
    this.#line = undefined;
  }

  #open(): Line {
    if (this.#line !== undefined) return this.#line;
    const stream = new Stream<{ readonly ID: string }, LeaseResponse>(
      this.#transport,
      'Lease',
      'leaseKeepAlive',
      { message: (response) => this.#receive(line, response), ended: (end) => this.#ended(line, end) },
    );
    const line: Line = { stream, renewals: new Set() };
    this.#line = line;
    return line;
  }

  #receive(line: Line, { ID, TTL }: LeaseResponse): void {
    for (const renewal of line.renewals) {
      if (renewal.lease !== ID) continue;
      line.renewals.delete(renewal);
      if (line !== this.#line) endIfIdle(line);
      // A lease that is gone is no error to the server: its answer has no TTL.
      renewal.resolve(Number(TTL) > 0 ? 'renewed' : 'gone');
      return;
    }
  }

  #ended(line: Line, { error }: StreamEnd): void {
    if (this.#line === line) this.#line = undefined;
    const renewals = [...line.renewals];
    line.renewals.clear();
    for (const { reject } of renewals) reject(error);
  }
}

function endIfIdle({ stream, renewals }: Line): void {
  if ([...renewals].every((renewal) => renewal.abandoned)) stream.end();
}
