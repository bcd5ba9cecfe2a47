import { clearImmediate, clearTimeout, monotonic, setImmediate, setTimeout } from '../../async/platform.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Endpoints } from '../kit/endpoints.ts';
import { cancelSoon, type Metadata, type RawCall, type ServiceName } from './client.ts';
import type { EtcdConnection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import {
  badResponse,
  errorOf,
  type Failure,
  failureOf,
  isHeard,
  isOfServer,
  isTokenRefused,
  isUnanswered,
  Status,
  syncErrorOf,
  wasNeverSent,
} from './errors.ts';

interface Rules {
  /** Applying it twice is as good as once, so that it may be repeated when its outcome is unknown. */
  readonly repeatable: boolean;
  /** Failures that are an answer to whoever asked. */
  readonly expects?: (failure: Failure) => boolean;
}

/** A request to the generated client, which makes messages of objects and back. */
export interface ObjectRequest extends Rules {
  readonly service: ServiceName;
  readonly method: string;
  readonly request: object;
}

export interface EncodedRequest<Response> extends Rules {
  readonly path: string;
  readonly request: Buffer;
  /** Throws a `SyncError` for what is no answer. */
  readonly decode: (message: Buffer) => Response;
}

export type AnyRequest<Response> = ObjectRequest | EncodedRequest<Response>;

export interface Carrier {
  readonly endpoints: Endpoints<EtcdConnection>;
  readonly credentials: Credentials;
  /** Milliseconds. */
  readonly requestTimeout: number;
  /** The one in use, or another one if that was cut. */
  connection(): Promise<EtcdConnection>;
}

/** Whoever asked. One of these is called, once, unless the exchange is ended before. */
export interface Asker<Response> {
  answered(response: Response): void;
  /** With a request that expects a failure. */
  expected?(failure: Failure): void;
  failed(error: SyncError): void;
}

/** A request and its answer, by as many tries as it takes and may take. */
export class Exchange<Response> {
  readonly #carrier: Carrier;
  readonly #request: AnyRequest<Response>;
  readonly #asker: Asker<Response>;
  readonly #until: number;
  #timer: NodeJS.Timeout;
  #looking: NodeJS.Immediate | undefined;
  #over = false;
  #tries = 0;
  #refreshed = false;
  #connection: EtcdConnection | undefined;
  /** On the monotonic clock; only once it may have left. */
  #sentAt: number | undefined;
  #underWay: RawCall | undefined;
  /** Repeated elsewhere for its silence. It may be slow, and not dead: the first answer counts. */
  #silent: RawCall | undefined;
  /** Why it could not be sent, on the way to where it can. */
  #refusal: SyncError | undefined;

  constructor(carrier: Carrier, request: AnyRequest<Response>, asker: Asker<Response>) {
    this.#carrier = carrier;
    this.#request = request;
    this.#asker = asker;
    this.#until = monotonic() + carrier.requestTimeout;
    // Not gRPC's deadline, which goes by the wall clock.
    this.#timer = setTimeout(this.#look, this.#patience);
    this.#try();
  }

  /** Nobody waits for it any more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#looking);
    if (this.#underWay !== undefined) cancelSoon(this.#underWay);
    if (this.#silent !== undefined) cancelSoon(this.#silent);
  }

  /** Who says nothing for so long may be dead, or the way there. In milliseconds. */
  get #patience(): number {
    return this.#carrier.requestTimeout / 2;
  }

  /** After a stall of the event loop timers come first, and what has arrived meanwhile only then: it is given its turn. */
  readonly #look = (): void => {
    this.#looking = setImmediate(() => this.#judge());
  };

  #judge(): void {
    const now = monotonic();
    const left = this.#until - now;
    // Timers go by whole milliseconds.
    if (left < 1) {
      this.#fail(this.#expired());
      return;
    }
    const sentAt = this.#sentAt ?? now;
    const since = now - sentAt;
    this.#timer = setTimeout(
      this.#look,
      since < this.#patience ? Math.min(left, this.#patience - since) : left,
    );
    const connection = this.#connection;
    if (connection === undefined || since < this.#patience || connection.heardAt >= sentAt) return;
    this.#carrier.endpoints.silent(connection, sentAt);
    if (!this.#request.repeatable || this.#underWay === undefined) return;
    this.#silent = this.#underWay;
    this.#underWay = undefined;
    this.#try();
  }

  /** One more time, and at once where there is nothing to wait for. */
  #try(): void {
    const { endpoints, credentials } = this.#carrier;
    this.#tries += 1;
    const connection = endpoints.live;
    const metadata = connection?.ready ? credentials.known(connection) : undefined;
    if (connection !== undefined && metadata !== undefined) this.#send(connection, metadata);
    else this.#prepare().catch((error: unknown) => this.#fail(errorOf(error, 'its hosts', 'refused')));
  }

  async #prepare(): Promise<void> {
    const { endpoints, credentials } = this.#carrier;
    this.#connection = undefined;
    this.#sentAt = undefined;
    const connection = await this.#carrier.connection();
    if (this.#over) return;
    this.#connection = connection;
    const untried = Math.max(1, endpoints.size - this.#tries + 1);
    const settled = await connection.settled((this.#until - monotonic()) / untried);
    if (this.#over) return;
    if (!settled) {
      this.#refused(connection, NOT_CONNECTED);
      return;
    }
    let metadata: Metadata;
    try {
      metadata = await credentials.metadata(connection);
    } catch (error) {
      if (this.#over) return;
      if (error instanceof SyncError) this.#fail(error);
      else this.#refused(connection, failureOf(error));
      return;
    }
    if (!this.#over) this.#send(connection, metadata);
  }

  #send(connection: EtcdConnection, metadata: Metadata): void {
    this.#connection = connection;
    this.#sentAt = monotonic();
    const which = this.#tries;
    try {
      this.#underWay = dispatch(connection, this.#request, metadata, (failure, response) => {
        if (this.#over) return;
        if (which === this.#tries) this.#underWay = undefined;
        if (failure === undefined) this.#answered(response);
        else if (which === this.#tries) this.#refused(connection, failure, metadata);
      });
    } catch (error) {
      // Thrown at once by a client that was closed.
      const { details } = failureOf(error);
      this.#refused(connection, { code: Status.unavailable, details }, metadata);
    }
  }

  #answered(response: unknown): void {
    let value: Response;
    try {
      if (response === undefined) throw badResponse('the server', 'nothing');
      value = 'decode' in this.#request ? this.#request.decode(response as Buffer) : (response as Response);
    } catch (error) {
      // It may have been applied: that the answer is of no use is no refusal.
      this.#fail(error instanceof SyncError ? error : badResponse('the server', 'it cannot be read'));
      return;
    }
    this.end();
    this.#asker.answered(value);
  }

  /** `used`: what it was sent with, if it may have left. */
  #refused(connection: EtcdConnection, failure: Failure, used?: Metadata): void {
    if (this.#request.expects?.(failure)) {
      this.end();
      this.#asker.expected?.(failure);
      return;
    }
    if (used === undefined || this.#refreshed || !isTokenRefused(failure)) {
      this.#conclude(connection, failure, used);
      return;
    }
    this.#refreshed = true;
    this.#carrier.credentials
      .refused(used)
      .then((another) => {
        if (this.#over) return;
        if (another) this.#try();
        else this.#conclude(connection, failure, used);
      })
      .catch((error: unknown) => this.#fail(errorOf(error, connection.address)));
  }

  #conclude(connection: EtcdConnection, failure: Failure, used: Metadata | undefined): void {
    if (isOfServer(failure)) {
      const { endpoints } = this.#carrier;
      // The connection was replaced under this call, on the word of another one.
      const wasReplaced = endpoints.isReplaced(connection);
      const isUnheard = isUnanswered(failure);
      // What etcd itself cannot do now, it can do no better on another connection.
      if (isUnheard || endpoints.size > 1) endpoints.failed(connection);
      const isSafe = used === undefined || this.#request.repeatable || wasNeverSent(failure);
      // A connection that had worked may have been cut while it was idle; one that was never made says all there is to know.
      const wasCut = isUnheard && connection.heardAt > Number.NEGATIVE_INFINITY;
      const most = Math.max(endpoints.size, wasCut ? 2 : 1) + (wasReplaced ? 1 : 0);
      if (isSafe && this.#tries < most) {
        if (wasNeverSent(failure)) this.#refusal = syncErrorOf(failure, connection.address, 'refused');
        this.#try();
        return;
      }
    }
    // Without credentials it was not sent, whatever kept us from getting them.
    this.#fail(syncErrorOf(failure, connection.address, used === undefined ? 'refused' : undefined));
  }

  #fail(error: SyncError): void {
    if (this.#over) return;
    this.end();
    this.#asker.failed(error);
  }

  /** The time is over: was it sent at all? */
  #expired(): SyncError {
    const { requestTimeout } = this.#carrier;
    const address = this.#connection?.address ?? 'its address';
    const refusal = this.#sentAt === undefined ? this.#refusal : undefined;
    if (refusal !== undefined) return refusal;
    const details =
      this.#sentAt === undefined
        ? `No connection established. Last error: nothing within ${requestTimeout} ms. Resolution note:`
        : `nothing within ${requestTimeout} ms`;
    return syncErrorOf({ code: Status.unavailable, details }, address);
  }
}

const NOT_CONNECTED: Failure = {
  code: Status.unavailable,
  details: 'No connection established. Last error: no answer to the connect. Resolution note:',
};

/** Throws what a closed client throws. */
export function dispatch(
  connection: EtcdConnection,
  request: AnyRequest<unknown>,
  metadata: Metadata,
  done: (failure: Failure | undefined, response?: unknown) => void,
): RawCall {
  const received = (failure: Failure | undefined, response?: unknown): void => {
    if (failure === undefined || isHeard(failure)) connection.heardAt = monotonic();
    done(failure, response);
  };
  if ('decode' in request) return connection.send(request.path, request.request, metadata, received);
  return connection.call(request.service, request.method, request.request, metadata, received);
}
