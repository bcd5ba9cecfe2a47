import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import { Window } from '../../async/window.ts';
import { cancelSoon } from './cancel.ts';
import { Borrower, type Connection, Dialler } from './client.ts';
import { anonymous, borrowed, type Credentials, Login } from './credentials.ts';
import { CallFailure, Status } from './errors.ts';
import { type BytesCall, type Carrier, dispatch, Exchange, type ObjectCall } from './exchange.ts';
import { Lifetime } from './lifetime.ts';
import { type Dial, mayGroup, type Resolved } from './options.ts';
import { Route } from './route.ts';

/** Requests under way at a time, each of up to a hundred commits or reads: enough to keep a server at 50 ms distance busy. */
const MOST_WRITES = 16;
const MOST_READS = 16;
/** Where commits may not travel together. */
const MOST_LONE_WRITES = 128;

/** Carries requests to one server at a time, and on to the next when that one fails. */
export class Transport implements Carrier {
  /** Milliseconds. */
  readonly requestTimeout: number;
  readonly lifetime = new Lifetime();
  /** Of commits and of reads. What keeps a session alive does not wait behind them. */
  readonly writes: Window;
  readonly reads = new Window(MOST_READS);
  readonly credentials: Credentials;
  readonly route: Route;
  /** Whether commits may travel together. */
  readonly mayGroup: boolean;

  constructor(resolved: Resolved) {
    const { via, requestTimeout } = resolved;
    this.requestTimeout = requestTimeout;
    this.mayGroup = mayGroup(resolved);
    this.writes = new Window(this.mayGroup ? MOST_WRITES : MOST_LONE_WRITES);
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
  call<Response>(call: BytesCall<Response>, signal: AbortSignal): Promise<Response>;
  call<Response>(call: ObjectCall, signal: AbortSignal): Promise<Response>;
  call<Response>(call: BytesCall<Response> | ObjectCall, signal: AbortSignal): Promise<Response> {
    return this.lifetime.run<Response>(signal, (settle) => {
      const exchange = new Exchange(this, call, settle);
      return () => exchange.end();
    });
  }

  close(): void {
    this.lifetime.stop();
    this.route.close();
  }

  /** Rejects with the client's own error. */
  #logIn(connection: Connection, { username, password }: NonNullable<Dial['login']>): Promise<string> {
    const request = { name: username, password };
    return this.lifetime.run<string>(new AbortController().signal, ({ resolve, reject }) => {
      const since = monotonic();
      const call = { service: 'Auth', method: 'authenticate', request, repeatable: true } as const;
      const underWay = dispatch(connection, call, connection.metadata, (failure, response) => {
        if (failure !== undefined) reject(new CallFailure(failure));
        else resolve((response as { token: string }).token);
      });
      const timer = setTimeout(() => {
        reject(new CallFailure({ code: Status.deadlineExceeded, details: 'no token within the time limit' }));
        this.route.silent(connection, since);
      }, this.requestTimeout);
      return () => {
        clearTimeout(timer);
        cancelSoon(underWay);
      };
    });
  }
}
