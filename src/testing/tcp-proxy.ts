import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkChoice, checkNumber, invalidOf, shown } from './checks.ts';
import { TcpLink } from './tcp-link.ts';
import type { Fate, Network, TcpConditions } from './tcp-pipe.ts';
import { type TcpTarget, targetOf } from './tcp-target.ts';

export type { TcpConditions };

const calm: TcpConditions = { cut: 'none', delay: 0, bytesPerSecond: Infinity };

const CONDITIONS: Names<TcpConditions> = { cut: true, delay: true, bytesPerSecond: true };
const CUTS: readonly TcpConditions['cut'][] = ['none', 'requests', 'replies', 'both'];

const invalid = invalidOf('TcpProxy');

/**
 * A TCP proxy on the loopback interface that does to connections what networks do: cuts, delays, throttles, resets and
 * silence. It takes a client's connection at once whatever the conditions are: these are for what is sent over it.
 */
export class TcpProxy implements AsyncDisposable {
  /** Whether new connections are reset at once. */
  refuse = false;
  readonly #target: TcpTarget;
  readonly #listener: Server;
  readonly #network: Network = { conditions: calm, fate: undefined };
  readonly #links = new Set<TcpLink>();
  readonly #clients = new Set<Socket>();
  #accepted = 0;
  #mostOpen = 0;

  private constructor(target: TcpTarget) {
    this.#target = target;
    this.#listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#join(client));
  }

  /**
   * Starts a proxy for a server's `host:port`, such as `localhost:8500` or `[::1]:8500`. Rejects with a `SyncError`
   * `invalid-option` for what is none. A server that is not there resets the clients.
   */
  static async open(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetOf(target));
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  /** `host:port`, for clients. */
  get address(): string {
    const address = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy does not listen.');
    return `127.0.0.1:${address.port}`;
  }

  /** Connections that clients have open now. */
  get open(): number {
    return this.#clients.size;
  }

  /** Connections that were taken so far, without the refused ones. */
  get accepted(): number {
    return this.#accepted;
  }

  /** The most connections that clients had open at once. */
  get mostOpen(): number {
    return this.#mostOpen;
  }

  /** What happens to all connections, those of now and later ones. Assigning takes effect at once. */
  get conditions(): TcpConditions {
    return this.#network.conditions;
  }

  set conditions(conditions: TcpConditions) {
    this.#network.conditions = checked(conditions);
    for (const link of [...this.#links]) link.reconsider();
  }

  /** Sets these conditions, and the rest calm. Throws a `SyncError` `invalid-option` that names what is wrong. */
  set(conditions: Partial<TcpConditions>): void {
    refuseUnknown(conditions, CONDITIONS, invalid);
    const { cut = calm.cut, delay = calm.delay, bytesPerSecond = calm.bytesPerSecond } = conditions;
    this.conditions = { cut, delay, bytesPerSecond };
  }

  /** Ends cuts, delays and throttles. */
  heal(): void {
    this.set({});
  }

  /** The connections of now pass nothing on any more, for good: no byte, and no end. Later ones do. */
  silence(): void {
    for (const link of this.#links) link.silence();
  }

  /** Resets the connections of now, towards both sides. */
  reset(): void {
    for (const link of [...this.#links]) link.sever('reset');
  }

  /** Of the reply that comes next, on whatever connection, so many bytes pass; then that connection is reset. Once. */
  resetAfter(bytes: number): void {
    this.#endAfter(bytes, 'reset');
  }

  /** The same, but the connection ends in good order, as if the reply were complete. */
  truncateAfter(bytes: number): void {
    this.#endAfter(bytes, 'end');
  }

  /** Destroys all connections, and listens no longer. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#listener.listening && once(this.#listener, 'close');
    this.#listener.close();
    const links = [...this.#links];
    for (const link of links) link.destroy();
    await Promise.all([closed, ...links.map((link) => link.closed)]);
  }

  #endAfter(bytes: number, by: Fate['by']): void {
    checkNumber(invalid, 'bytes', bytes, { least: 0, whole: true });
    this.#network.fate = { after: bytes, by };
  }

  #join(client: Socket): void {
    if (this.refuse) {
      client.on('error', () => undefined).resetAndDestroy();
      return;
    }
    this.#accepted++;
    this.#clients.add(client);
    this.#mostOpen = Math.max(this.#mostOpen, this.open);
    const link = new TcpLink(client, this.#target, this.#network);
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
    // A client that is cut off and gives up is gone, though its end is not passed on.
    for (const event of ['end', 'close']) client.once(event, () => this.#clients.delete(client));
  }
}

function checked(conditions: TcpConditions): TcpConditions {
  refuseUnknown(conditions, CONDITIONS, invalid);
  const { cut, delay, bytesPerSecond } = conditions;
  checkChoice(invalid, 'cut', cut, CUTS);
  checkNumber(invalid, 'delay', delay, { least: 0 });
  if (!(typeof bytesPerSecond === 'number' && bytesPerSecond > 0)) {
    throw invalid('bytesPerSecond', `must be a number above 0, or Infinity, not ${shown(bytesPerSecond)}`);
  }
  return { cut, delay, bytesPerSecond };
}
