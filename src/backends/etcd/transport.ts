import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { Endpoints } from '../kit/endpoints.ts';
import { cancelSoon } from './client.ts';
import type { EtcdConnection } from './connection.ts';
import { anonymous, borrowed, type Credentials, Login } from './credentials.ts';
import { Borrower, OwnDialler } from './dialler.ts';
import { CallFailure, Status } from './errors.ts';
import {
  type Asker,
  type Carrier,
  dispatch,
  type EncodedRequest,
  Exchange,
  type ObjectRequest,
} from './exchange.ts';
import type { NameAndPassword, Resolved } from './options.ts';

/** Carries requests to one server at a time, and on to the next when that one fails. */
export class Transport implements Carrier {
  readonly requestTimeout: number;
  readonly credentials: Credentials;
  readonly endpoints: Endpoints<EtcdConnection>;
  /** Logins under way: nobody else would end them. */
  readonly #loggingIn = new Set<SettleOnce<string>>();

  constructor({ via, requestTimeout }: Resolved) {
    this.requestTimeout = requestTimeout;
    if ('client' in via) {
      const borrower = new Borrower(via.client);
      this.endpoints = new Endpoints(borrower);
      this.credentials = borrowed(borrower);
      return;
    }
    const { login } = via.dial;
    this.endpoints = new Endpoints(new OwnDialler(via.dial));
    this.credentials =
      login === undefined
        ? anonymous
        : new Login(login, (connection, present) => this.#logIn(connection, present));
  }

  connection(): Promise<EtcdConnection> {
    const { live } = this.endpoints;
    if (live?.isCut) this.endpoints.failed(live);
    return this.endpoints.connection();
  }

  /** Returns what ends it. It is not repeated if it may have been applied, unless it is `repeatable`. */
  send<Response>(request: EncodedRequest<Response>, asker: Asker<Response>): () => void {
    const exchange = new Exchange(this, request, asker);
    return () => exchange.end();
  }

  /** Rejects with a `SyncError`, with a `CallFailure` that it expects, or with the signal's reason. */
  call<Response>(request: ObjectRequest, signal: AbortSignal): Promise<Response> {
    const call = new SettleOnce<Response>();
    const exchange = new Exchange<Response>(this, request, {
      answered: (response) => call.resolve(response),
      expected: (failure) => call.reject(new CallFailure(failure)),
      failed: (error) => call.reject(error),
    });
    return call.finally(() => exchange.end()).follow(signal).promise;
  }

  close(): void {
    this.endpoints.close();
    for (const call of this.#loggingIn) call.reject(new CallFailure(NO_TOKEN));
  }

  /** Rejects with the client's own error. */
  #logIn(connection: EtcdConnection, { username, password }: NameAndPassword): Promise<string> {
    const call = new SettleOnce<string>();
    const since = monotonic();
    const request = { name: username, password };
    const login = { service: 'Auth', method: 'authenticate', request, repeatable: true } as const;
    const underWay = dispatch(connection, login, connection.metadata, (failure, response) => {
      if (failure !== undefined) call.reject(new CallFailure(failure));
      else call.resolve((response as { token: string }).token);
    });
    const late = (): void => {
      call.reject(new CallFailure(NO_TOKEN));
    };
    const patience = this.requestTimeout / 2;
    let timer = setTimeout(() => {
      timer = setTimeout(late, patience);
      if (connection.heardAt >= since) return;
      this.endpoints.silent(connection, since);
      late();
    }, patience);
    this.#loggingIn.add(call);
    return call.finally(() => {
      this.#loggingIn.delete(call);
      clearTimeout(timer);
      cancelSoon(underWay);
    }).promise;
  }
}

const NO_TOKEN = { code: Status.unavailable, details: 'no token within the time limit' };
