import { monotonic } from '../../async/platform.ts';
import { isThenable } from '../../async/realms.ts';
import { isSyncError, type SyncError } from '../../contract/errors.ts';
import { lateAfter } from '../kit/late.ts';
import { ExchangeError, type Exchanger, type Exchanging, exchange } from './client.ts';
import { type ConsulConnection, type Lane, UnprovidedError, wasRested } from './connection.ts';
import {
  type Answer,
  exchangeError,
  isForCaller,
  isOfTls,
  isOfWholeServer,
  statusError,
  wasNeverSent,
} from './errors.ts';
import type { Servers } from './servers.ts';

export interface Call {
  readonly lane: Lane;
  readonly method: 'GET' | 'PUT';
  /** Below `/v1`, encoded, with the query. */
  readonly path: string;
  readonly body?: string;
  /** Milliseconds for which the server may wait before it answers. */
  readonly blocks?: number;
  readonly maxBytes?: number;
  /** Asking again changes nothing. */
  readonly isRepeatable: boolean;
}

/** Bytes. An answer beyond this is cut off. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** One call until it is answered: by as many exchanges as its time and its nature allow. */
export class Asking implements Exchanger {
  readonly #servers: Servers;
  readonly #call: Call;
  readonly #done: (outcome: Answer | SyncError) => void;
  readonly #timeout: number;
  readonly #begun = monotonic();
  /** Of what is to be done when it takes long. */
  #undo: (() => void) | undefined;
  #connection: ConsulConnection | undefined;
  #exchanging: Exchanging | undefined;
  /** The same call by another connection, while this one may yet be answered. */
  #second: Asking | undefined;
  #token: string | undefined;
  #sentAt = 0;
  #unsent = 0;
  #isRepeated = false;
  #hasOtherToken = false;
  #isOver = false;

  /** @param done called once, unless it is cancelled. */
  constructor(servers: Servers, call: Call, done: (outcome: Answer | SyncError) => void) {
    this.#servers = servers;
    this.#call = call;
    this.#done = done;
    this.#timeout = servers.requestTimeout + (call.blocks ?? 0);
  }

  begin(): void {
    // One that blocks waits with good reason: its silence says nothing before it is over.
    if (this.#call.blocks) this.#undo = lateAfter(this.#timeout, () => this.#end());
    else this.#undo = lateAfter(this.#timeout / 2, () => this.#silent());
    this.#send();
  }

  cancel(): void {
    this.#settle();
  }

  heard(): void {
    this.#connection?.heard();
  }

  answered(status: number, headers: Answer['headers'], body: Buffer): void {
    const { address } = this.#connection as ConsulConnection;
    const answer = { status, headers, body, address, token: this.#token };
    if (isForCaller(answer)) this.#finish(answer);
    else this.#refused(statusError(answer));
  }

  failed(error: unknown): void {
    const { address } = this.#connection as ConsulConnection;
    if (error instanceof UnprovidedError) this.#finish(error.told);
    else if (this.#mayGoOn(error)) this.#send();
    else this.#finish(exchangeError(error, address));
  }

  /** What a failure says of the server; and whether the call may be sent once more, as nothing came of it. */
  #mayGoOn(error: unknown): boolean {
    const connection = this.#connection as ConsulConnection;
    if (error instanceof ExchangeError) {
      if (error.why === 'cut-short') this.#doubt(connection);
      return false;
    }
    const { endpoints, hasOtherTls } = this.#servers;
    const isStale = hasOtherTls && isOfTls(error);
    if (wasNeverSent(error)) {
      this.#servers.leave(connection);
      this.#unsent += 1;
      return this.#unsent < endpoints.size + Number(isStale);
    }
    // That one socket had rested for too long is no sign of anything.
    const isRested = wasRested(error);
    if (!isRested) this.#servers.leave(connection);
    const { isRepeatable, blocks } = this.#call;
    if (!(isRested || isStale) || !isRepeatable || blocks || this.#isRepeated) return false;
    this.#isRepeated = true;
    return true;
  }

  #send(): void {
    this.#exchanging = undefined;
    const { endpoints } = this.#servers;
    const { live } = endpoints;
    if (live !== undefined) this.#sendBy(live);
    else
      endpoints.connection().then(
        (connection) => this.#sendBy(connection),
        (error: SyncError) => this.#finish(error),
      );
  }

  #sendBy(connection: ConsulConnection): void {
    this.#connection = connection;
    const token = this.#servers.token();
    if (isThenable(token)) {
      token.then(
        (given) => this.#exchange(connection, given),
        (error: SyncError) => this.#finish(error),
      );
    } else this.#exchange(connection, token);
  }

  #exchange(connection: ConsulConnection, token: string | undefined): void {
    if (this.#isOver) return;
    const { method, path, body, lane, maxBytes = MAX_ANSWER } = this.#call;
    this.#token = token;
    this.#sentAt = monotonic();
    this.#exchanging = exchange(
      connection.client,
      { method, path: this.#servers.pathOf(path), token, body, agent: connection.agents[lane], maxBytes },
      this,
    );
  }

  #refused(error: SyncError): void {
    const connection = this.#connection as ConsulConnection;
    if (error.code === 'unavailable') {
      // Such as an agent that has lost its servers: another one may not have.
      if (isOfWholeServer(error)) this.#servers.leave(connection);
      else this.#doubt(connection);
    }
    if (error.code === 'permission-denied' && !this.#hasOtherToken) this.#askAnew(error);
    else this.#finish(error);
  }

  #askAnew(error: SyncError): void {
    this.#exchanging = undefined;
    this.#servers.hasAnother(this.#token).then(
      (hasAnother) => {
        this.#hasOtherToken = true;
        const mayRepeat = this.#call.isRepeatable || error.outcome === 'refused';
        if (hasAnother && mayRepeat && !this.#isOver) this.#send();
        else this.#finish(error);
      },
      () => this.#finish(error),
    );
  }

  /** Half of its time is over. */
  #silent(): void {
    this.#undo = lateAfter(this.#timeout - (monotonic() - this.#begun), () => this.#end());
    const connection = this.#connection;
    if (connection === undefined || this.#exchanging === undefined) return;
    if (connection.heardAt >= this.#sentAt) {
      // Others are answered: those that rest beside this socket may be as dead as it may be.
      connection.renewIdle(this.#call.lane);
      return;
    }
    this.#servers.endpoints.silent(connection, this.#sentAt);
    if (!this.#call.isRepeatable) return;
    this.#second = new Asking(this.#servers, this.#call, (outcome) => {
      this.#second = undefined;
      if (!isSyncError(outcome) || this.#exchanging === undefined) this.#tell(outcome);
    });
    this.#second.#send();
  }

  #end(): void {
    const connection = this.#connection;
    if (connection !== undefined && this.#call.blocks) {
      this.#servers.endpoints.silent(connection, this.#sentAt);
    }
    const error = new ExchangeError('timeout', `no answer within ${this.#timeout} ms`);
    this.#tell(exchangeError(error, connection?.address ?? 'its address'));
  }

  /** Something failed that may have been about one key only: the server as a whole is asked for its leader. */
  #doubt(connection: ConsulConnection): void {
    const { endpoints, doubts } = this.#servers;
    if (endpoints.size === 1 || doubts.has(connection) || endpoints.isReplaced(connection)) return;
    const doubt = new Asking(this.#servers, LEADER, (outcome) => {
      doubts.delete(connection);
      if (isSyncError(outcome) || !hasLeader(outcome)) this.#servers.leave(connection);
    });
    doubts.set(connection, doubt);
    doubt.begin();
  }

  /** Its own exchanges are over. */
  #finish(outcome: Answer | SyncError): void {
    this.#exchanging = undefined;
    if (isSyncError(outcome) && this.#second !== undefined) return;
    this.#tell(outcome);
  }

  #tell(outcome: Answer | SyncError): void {
    if (this.#settle()) this.#done(outcome);
  }

  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#undo?.();
    this.#exchanging?.cut();
    this.#second?.cancel();
    return true;
  }
}

const LEADER: Call = { lane: 'sessions', method: 'GET', path: '/status/leader', isRepeatable: false };

function hasLeader({ status, body }: Answer): boolean {
  return status === 200 && /^\s*"[^"]+"\s*$/.test(body.toString('utf8'));
}
