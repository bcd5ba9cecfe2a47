import { SyncError } from '../../sync/backend.ts';
import { cancelSoon } from './cancel.ts';
import { Borrower, type Connection, Dialler, type Metadata, type ServiceName } from './client.ts';
import { anonymous, borrowed, type Credentials, Login } from './credentials.ts';
import { type Failure, failureOf, isTokenRefused, Status, syncErrorOf, wasNeverSent } from './errors.ts';
import { Lifetime } from './lifetime.ts';
import type { Dial, Resolved } from './options.ts';
import { Route } from './route.ts';

export interface Call {
  readonly service: ServiceName;
  readonly method: string;
  readonly request: object;
  /** Applying it twice is as good as once, so that it may be repeated when its outcome is unknown. */
  readonly repeatable: boolean;
  /** Failures that are an answer to the caller. They are passed on as they are, as `CallFailure`. */
  readonly expects?: (failure: Failure) => boolean;
}

/** A failure that is not yet, or need not become, a `SyncError`. */
export class CallFailure extends Error implements Failure {
  readonly code: number;
  readonly details: string;

  constructor({ code, details }: Failure) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** What a call has come to, for those who have to end it. */
interface Progress {
  over: boolean;
  connection?: Connection;
  /** On the clock of `performance.now()`; only once it may have left. */
  sentAt: number | undefined;
  cancel?: () => void;
}

/** Carries requests to one server at a time, and on to the next when that one fails. */
export class Transport {
  /** Milliseconds. */
  readonly requestTimeout: number;
  readonly lifetime = new Lifetime();
  readonly credentials: Credentials;
  readonly route: Route;

  constructor({ via, requestTimeout }: Resolved) {
    this.requestTimeout = requestTimeout;
    if ('client' in via) {
      const borrower = new Borrower(via.client);
      this.route = new Route(borrower);
      this.credentials = borrowed(borrower);
      return;
    }
    const { login } = via.dial;
    this.route = new Route(new Dialler(via.dial));
    this.credentials =
      login === undefined ? anonymous : new Login((connection) => this.#logIn(connection, login));
  }

  /**
   * Rejects with a `SyncError`, or with the signal's reason. It is not repeated if it may have been applied, unless it
   * is `repeatable`.
   */
  call<Response>(call: Call, signal: AbortSignal): Promise<Response> {
    return this.lifetime.run<Response>(signal, (settle) => {
      const progress: Progress = { over: false, sentAt: undefined };
      const until = performance.now() + this.requestTimeout;
      // Not gRPC's deadline, which goes by the wall clock. After a stall of the event loop timers come first, and what has
      // arrived meanwhile only then: it is given its turn.
      let last: NodeJS.Immediate | undefined;
      const timer = setTimeout(() => {
        last = setImmediate(() => settle.reject(this.#expired(progress)));
      }, this.requestTimeout);
      this.#attempt(call, progress, until).then(
        (response) => settle.resolve(response as Response),
        (error) => settle.reject(typed(error)),
      );
      return () => {
        progress.over = true;
        clearTimeout(timer);
        clearImmediate(last);
        progress.cancel?.();
        // A caller may give up before our own limit, every time. That must not keep a dead connection alive.
        const { connection, sentAt } = progress;
        if (connection && sentAt !== undefined && performance.now() - sentAt > this.requestTimeout / 2) {
          this.route.silent(connection, sentAt);
        }
      };
    });
  }

  close(): void {
    this.lifetime.stop();
    this.route.close();
  }

  async #attempt(call: Call, progress: Progress, until: number): Promise<unknown> {
    let refreshed = false;
    for (let tries = 1; ; tries++) {
      const connection = await this.route.connection();
      progress.connection = connection;
      progress.sentAt = undefined;
      const untried = Math.max(1, this.route.size - tries + 1);
      const settled = await connection.settled((until - performance.now()) / untried);
      const result = settled ? await this.#exchange(connection, call, progress) : NOT_CONNECTED;
      if (progress.over) return undefined;
      if (!('failure' in result)) return result.response;

      const { failure, used } = result;
      if (call.expects?.(failure)) throw new CallFailure(failure);
      if (used !== undefined && isTokenRefused(failure) && !refreshed) {
        refreshed = true;
        if (await this.credentials.refused(used)) continue;
      }
      if (failure.code === Status.unavailable) {
        // The connection was replaced under this call, on the word of another one.
        const replacedMeanwhile = this.route.isReplaced(connection);
        this.route.failed(connection);
        const isSafe = used === undefined || call.repeatable || wasNeverSent(failure);
        if (isSafe && tries < this.route.size + (replacedMeanwhile ? 1 : 0)) continue;
      }
      throw syncErrorOf(failure, connection.address);
    }
  }

  async #exchange(connection: Connection, call: Call, progress: Progress): Promise<Outcome> {
    let metadata: Metadata;
    try {
      metadata = await this.credentials.metadata(connection);
    } catch (error) {
      return { failure: failureOf(error) };
    }
    if (progress.over) return NOT_CONNECTED;
    const outcome = await new Promise<Outcome>((resolve) => {
      progress.sentAt = performance.now();
      progress.cancel = exchange(connection, call, metadata, resolve);
    });
    return 'failure' in outcome ? { ...outcome, used: metadata } : outcome;
  }

  /** Rejects with the client's own error. */
  #logIn(connection: Connection, { username, password }: NonNullable<Dial['login']>): Promise<string> {
    const request = { name: username, password };
    return this.lifetime.run<string>(new AbortController().signal, ({ resolve, reject }) => {
      const since = performance.now();
      const call = { service: 'Auth', method: 'authenticate', request, repeatable: true } as const;
      const cancel = exchange(connection, call, connection.metadata, (outcome) => {
        if ('failure' in outcome) reject(new CallFailure(outcome.failure));
        else resolve((outcome.response as { token: string }).token);
      });
      const timer = setTimeout(() => {
        reject(new CallFailure({ code: Status.deadlineExceeded, details: 'no token within the time limit' }));
        this.route.silent(connection, since);
      }, this.requestTimeout);
      return () => {
        clearTimeout(timer);
        cancel();
      };
    });
  }

  /** The time is over: was it sent at all, and does the connection still live? */
  #expired({ connection, sentAt }: Progress): SyncError {
    const address = connection?.address ?? 'its address';
    if (connection !== undefined && sentAt !== undefined) this.route.silent(connection, sentAt);
    const details =
      sentAt === undefined
        ? `No connection established. Last error: nothing within ${this.requestTimeout} ms. Resolution note:`
        : `nothing within ${this.requestTimeout} ms`;
    return syncErrorOf({ code: Status.unavailable, details }, address);
  }
}

/** Failures that a client may have found by itself. */
const UNHEARD = new Set<number>([Status.unavailable, Status.cancelled]);

function typed(error: unknown): unknown {
  if (error instanceof SyncError || error instanceof CallFailure) return error;
  return syncErrorOf(failureOf(error), 'its hosts');
}

type Outcome = { readonly response: unknown } | { readonly failure: Failure; readonly used?: Metadata };

const NOT_CONNECTED: Outcome = {
  failure: {
    code: Status.unavailable,
    details: 'No connection established. Last error: no answer to the connect. Resolution note:',
  },
};

/** Returns what takes it back. */
function exchange(
  connection: Connection,
  { service, method, request }: Call,
  metadata: Metadata,
  done: (outcome: Outcome) => void,
): () => void {
  try {
    const call = connection.call(service, method, request, metadata, (error, response) => {
      const failure = error && failureOf(error);
      if (failure === null || !UNHEARD.has(failure.code)) connection.heardAt = performance.now();
      done(failure ? { failure } : { response });
    });
    return () => cancelSoon(call);
  } catch (error) {
    // Thrown at once by a client that was closed.
    done({ failure: { code: Status.unavailable, details: failureOf(error).details } });
    return () => undefined;
  }
}
