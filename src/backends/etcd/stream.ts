import { Fifo } from '../../async/fifo.ts';
import { monotonic, setImmediate } from '../../async/platform.ts';
import type { SyncError } from '../../contract/errors.ts';
import { cancelSoon, type RawStream, type ServiceName } from './client.ts';
import type { EtcdConnection } from './connection.ts';
import { errorOf, failureOf, isOfServer, isTokenRefused, Status } from './errors.ts';
import type { Transport } from './transport.ts';

export interface StreamEnd {
  readonly error: SyncError;
  /** Whether anything had come over the stream. */
  readonly wasAlive: boolean;
}

export interface StreamHandlers<Response> {
  message(response: Response): void;
  /** Its connection was left: what is still wanted goes on by another stream. What was asked for on this one may yet be answered. */
  retired(): void;
  /** Called once, unless we ended it. */
  ended(end: StreamEnd): void;
}

/**
 * Messages in one turn of the event loop. grpc-js copies all that it has not sent yet at each message that it sends: of 50 000
 * watches at once that took ten seconds.
 */
const MOST_AT_ONCE = 64;

/** A stream of requests and responses. It can be written to at once, and is not repaired: open another one. */
export class Stream<Request, Response> {
  readonly #transport: Transport;
  readonly #handlers: StreamHandlers<Response>;
  /** What is not handed over yet. */
  readonly #unsent = new Fifo<Request>();
  #resting = false;
  #raw: RawStream<Request, Response> | undefined;
  #forget: (() => void) | undefined;
  #connection: EtcdConnection | undefined;
  #wasAlive = false;
  #over = false;

  constructor(
    transport: Transport,
    service: ServiceName,
    method: string,
    handlers: StreamHandlers<Response>,
  ) {
    this.#transport = transport;
    this.#handlers = handlers;
    this.#open(service, method).catch((error: unknown) => this.#fail(error));
  }

  get address(): string {
    return this.#connection?.address ?? 'its hosts';
  }

  write(request: Request): void {
    if (this.#over) return;
    this.#unsent.push(request);
    this.#send();
  }

  /** No answer since `since`, on the monotonic clock. If the connection is left for it, all of its streams are told. */
  silent(since: number): void {
    if (this.#connection !== undefined) this.#transport.endpoints.silent(this.#connection, since);
  }

  /** Ends it from our side; no handler is called any more. */
  end(): void {
    this.#over = true;
    this.#forget?.();
    if (this.#raw !== undefined) cancelSoon(this.#raw);
  }

  retire(): void {
    if (!this.#over) this.#handlers.retired();
  }

  async #open(service: ServiceName, method: string): Promise<void> {
    const { endpoints, credentials, requestTimeout } = this.#transport;
    const connection = await this.#reachable(requestTimeout);
    const wasLive = !endpoints.isReplaced(connection);
    const used = await credentials.metadata(connection);
    if (this.#over) return;
    // Left meanwhile: whoever leaves it ends the streams that stand on it, and this one does not yet.
    if (wasLive && endpoints.isReplaced(connection)) return await this.#open(service, method);
    this.#connection = connection;
    const { raw, forget } = connection.stream<Request, Response>(service, method, used, this);
    this.#forget = forget;
    raw.on('data', (response) => {
      connection.heardAt = monotonic();
      this.#wasAlive = true;
      if (!this.#over) this.#handlers.message(response);
    });
    raw.on('end', () => this.#fail({ code: Status.unavailable, details: 'the server ended the stream' }));
    raw.on('error', (error) => {
      if (this.#over) return;
      const failure = failureOf(error);
      if (isOfServer(failure)) endpoints.failed(connection);
      if (!isTokenRefused(failure)) return this.#fail(error);
      credentials.refused(used).then(
        () => this.#fail(error),
        () => this.#fail(error),
      );
    });
    this.#raw = raw;
    this.#send();
  }

  #send(): void {
    const raw = this.#raw;
    if (raw === undefined || this.#resting) return;
    for (let sent = 0; sent < MOST_AT_ONCE; sent++) {
      const request = this.#unsent.shift();
      if (request === undefined) return;
      raw.write(request);
    }
    this.#resting = true;
    setImmediate(() => {
      this.#resting = false;
      if (!this.#over) this.#send();
    });
  }

  /** The first server that takes a connection, or the last one tried. */
  async #reachable(limit: number): Promise<EtcdConnection> {
    const { endpoints } = this.#transport;
    for (let tries = 1; ; tries++) {
      const connection = await this.#transport.connection();
      const settled = await connection.settled(limit / endpoints.size);
      if ((settled && !connection.failing) || this.#over) return connection;
      endpoints.failed(connection);
      if (tries >= endpoints.size) return connection;
    }
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    this.end();
    this.#handlers.ended({ error: errorOf(cause, this.address), wasAlive: this.#wasAlive });
  }
}
