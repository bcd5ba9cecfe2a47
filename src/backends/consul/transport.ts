import { SettleOnce } from '../../async/settle-once.ts';
import { Window } from '../../async/window.ts';
import { isSyncError, type SyncError } from '../../contract/errors.ts';
import type { Cancel } from '../kit/driver.ts';
import { Asking, type Call } from './asking.ts';
import { connectionsOf } from './connection.ts';
import type { Answer } from './errors.ts';
import type { Settings } from './options.ts';
import { Servers } from './servers.ts';

/** Calls to a server, by sockets of our own. */
export class Transport {
  /** As many as there are sockets: more would wait for one, and be taken for unanswered. */
  readonly commands: Window;
  readonly #servers: Servers;

  constructor(settings: Settings) {
    this.commands = new Window(connectionsOf(settings.maxConnections).commands);
    this.#servers = new Servers(settings);
  }

  /** `undefined` where it is for the agent to say. */
  get datacenter(): string | undefined {
    return this.#servers.datacenter;
  }

  /**
   * Calls `done` once, unless it is cancelled: with an answer below 300, or a 404 or 409 of Consul's own, or with an error. A
   * command must have entered the window.
   */
  ask(call: Call, done: (outcome: Answer | SyncError) => void): Cancel {
    const asking = new Asking(this.#servers, call, done);
    asking.begin();
    return () => asking.cancel();
  }

  /** The same for who waits by a promise. */
  call(call: Call, signal: AbortSignal): Promise<Answer> {
    const waiting = new SettleOnce<Answer>().follow(signal);
    if (waiting.settled) return waiting.promise;
    const cancel = this.ask(call, (outcome) => {
      if (isSyncError(outcome)) waiting.reject(outcome);
      else waiting.resolve(outcome);
    });
    return waiting.finally(cancel).promise;
  }

  /** See `Servers.hasAnother`. */
  hasAnotherToken(used: string | undefined): Promise<boolean> {
    return this.#servers.hasAnother(used);
  }

  close(): Promise<void> {
    return this.#servers.close();
  }
}
