import { clearImmediate, clearTimeout, monotonic, setImmediate, setTimeout } from '../../async/platform.ts';
import { SyncError } from '../../contract/errors.ts';
import { cancelSoon } from './cancel.ts';
import type { Connection, Metadata, RawCall, ServiceName } from './client.ts';
import type { Credentials } from './credentials.ts';
import {
  badResponse,
  CallFailure,
  type Failure,
  failureOf,
  isTokenRefused,
  Status,
  syncErrorOf,
  wasNeverSent,
} from './errors.ts';
import type { Settle } from './lifetime.ts';
import type { Route } from './route.ts';

interface Rules {
  /** Applying it twice is as good as once, so that it may be repeated when its outcome is unknown. */
  readonly repeatable: boolean;
  /** Failures that are an answer to the caller. They are passed on as they are, as `CallFailure`. */
  readonly expects?: (failure: Failure) => boolean;
}

/** A request to the generated client, which makes messages of objects and back. */
export interface ObjectCall extends Rules {
  readonly service: ServiceName;
  readonly method: string;
  readonly request: object;
}

/** A request that is encoded. */
export interface BytesCall<Response> extends Rules {
  readonly path: string;
  readonly request: Buffer;
  /** Throws a `SyncError` for what is no answer. */
  readonly decode: (message: Buffer) => Response;
}

export type Call<Response> = ObjectCall | BytesCall<Response>;

export interface Carrier {
  readonly route: Route;
  readonly credentials: Credentials;
  /** Milliseconds. */
  readonly requestTimeout: number;
}

/** One call: a request and its answer, by as many tries as it takes and may take. Rejects with a `SyncError`. */
export class Exchange<Response> {
  readonly #carrier: Carrier;
  readonly #call: Call<Response>;
  readonly #settle: Settle<Response>;
  readonly #until: number;
  readonly #timer: NodeJS.Timeout;
  #last: NodeJS.Immediate | undefined;
  #over = false;
  #tries = 0;
  #refreshed = false;
  #connection: Connection | undefined;
  /** On the clock of `performance.now()`; only once it may have left. */
  #sentAt: number | undefined;
  #underWay: RawCall | undefined;

  constructor(carrier: Carrier, call: Call<Response>, settle: Settle<Response>) {
    this.#carrier = carrier;
    this.#call = call;
    this.#settle = settle;
    this.#until = monotonic() + carrier.requestTimeout;
    // Not gRPC's deadline, which goes by the wall clock. After a stall of the event loop timers come first, and what has
    // arrived meanwhile only then: it is given its turn.
    this.#timer = setTimeout(() => {
      this.#last = setImmediate(() => this.#fail(this.#expired()));
    }, carrier.requestTimeout);
    this.#try();
  }

  /** Nobody waits for it any more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#last);
    if (this.#underWay !== undefined) cancelSoon(this.#underWay);
    // A caller may give up before our own limit, every time. That must not keep a dead connection alive.
    const { requestTimeout, route } = this.#carrier;
    const sentAt = this.#sentAt;
    if (this.#connection && sentAt !== undefined && monotonic() - sentAt > requestTimeout / 2) {
      route.silent(this.#connection, sentAt);
    }
  }

  /** One more time, and at once where there is nothing to wait for. */
  #try(): void {
    const { route, credentials } = this.#carrier;
    this.#tries += 1;
    const connection = route.live;
    const metadata = connection?.ready ? credentials.known(connection) : undefined;
    if (connection !== undefined && metadata !== undefined) this.#send(connection, metadata);
    else this.#prepare().catch((error: unknown) => this.#fail(error));
  }

  async #prepare(): Promise<void> {
    const { route, credentials } = this.#carrier;
    const connection = await route.connection();
    if (this.#over) return;
    this.#connection = connection;
    this.#sentAt = undefined;
    const untried = Math.max(1, route.size - this.#tries + 1);
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
      if (!this.#over) this.#refused(connection, failureOf(error));
      return;
    }
    if (!this.#over) this.#send(connection, metadata);
  }

  #send(connection: Connection, metadata: Metadata): void {
    this.#connection = connection;
    this.#sentAt = monotonic();
    try {
      this.#underWay = dispatch(connection, this.#call, metadata, (failure, response) => {
        this.#underWay = undefined;
        if (this.#over) return;
        if (failure === undefined) this.#answered(response);
        else this.#refused(connection, failure, metadata);
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
      value = 'decode' in this.#call ? this.#call.decode(response as Buffer) : (response as Response);
    } catch (error) {
      // It may have been applied: that the answer is of no use is no refusal.
      this.#fail(error instanceof SyncError ? error : badResponse('the server', 'it cannot be read'));
      return;
    }
    this.end();
    this.#settle.resolve(value);
  }

  /** `used`: what it was sent with, if it may have left. */
  #refused(connection: Connection, failure: Failure, used?: Metadata): void {
    if (this.#call.expects?.(failure)) {
      this.#fail(new CallFailure(failure));
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
      .catch((error: unknown) => this.#fail(error));
  }

  #conclude(connection: Connection, failure: Failure, used: Metadata | undefined): void {
    if (failure.code === Status.unavailable) {
      const { route } = this.#carrier;
      // The connection was replaced under this call, on the word of another one.
      const replacedMeanwhile = route.isReplaced(connection);
      route.failed(connection);
      const isSafe = used === undefined || this.#call.repeatable || wasNeverSent(failure);
      if (isSafe && this.#tries < route.size + (replacedMeanwhile ? 1 : 0)) {
        this.#try();
        return;
      }
    }
    // Without credentials it was not sent, whatever kept us from getting them.
    this.#fail(syncErrorOf(failure, connection.address, used === undefined ? 'refused' : undefined));
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.end();
    this.#settle.reject(typed(error));
  }

  /** The time is over: was it sent at all, and does the connection still live? */
  #expired(): SyncError {
    const { route, requestTimeout } = this.#carrier;
    const connection = this.#connection;
    const sentAt = this.#sentAt;
    const address = connection?.address ?? 'its address';
    if (connection !== undefined && sentAt !== undefined) route.silent(connection, sentAt);
    const details =
      sentAt === undefined
        ? `No connection established. Last error: nothing within ${requestTimeout} ms. Resolution note:`
        : `nothing within ${requestTimeout} ms`;
    return syncErrorOf({ code: Status.unavailable, details }, address);
  }
}

/** Failures that a client may have found by itself. */
const UNHEARD = new Set<number>([Status.unavailable, Status.cancelled]);

const NOT_CONNECTED: Failure = {
  code: Status.unavailable,
  details: 'No connection established. Last error: no answer to the connect. Resolution note:',
};

function typed(error: unknown): unknown {
  if (error instanceof SyncError || error instanceof CallFailure) return error;
  return syncErrorOf(failureOf(error), 'its hosts');
}

/** Throws what a closed client throws. */
export function dispatch(
  connection: Connection,
  call: Call<unknown>,
  metadata: Metadata,
  done: (failure: Failure | undefined, response?: unknown) => void,
): RawCall {
  const received = (failure: Failure | undefined, response?: unknown): void => {
    if (failure === undefined || !UNHEARD.has(failure.code)) connection.heardAt = monotonic();
    done(failure, response);
  };
  if ('decode' in call) return connection.send(call.path, call.request, metadata, received);
  return connection.call(call.service, call.method, call.request, metadata, received);
}
