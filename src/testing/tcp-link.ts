import { connect, type Socket } from 'node:net';
import { type Fate, type Network, TcpPipe } from './tcp-pipe.ts';
import type { TcpTarget } from './tcp-target.ts';

/** A client's connection through a proxy, and the one that carries it on to the server. */
export class TcpLink {
  readonly client: Socket;
  readonly #server: Socket;
  readonly #pipes: readonly TcpPipe[];
  /** Resolves when both sides are closed. */
  readonly closed: Promise<unknown>;

  constructor(client: Socket, { host, port }: TcpTarget, network: Network) {
    this.client = client;
    this.#server = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const sockets = [this.client, this.#server] as const;
    this.closed = Promise.all(
      sockets.map(
        (socket) => new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve)),
      ),
    );
    this.#pipes = [
      new TcpPipe([this.client, this.#server], 'requests', network, (by) => this.sever(by)),
      new TcpPipe([this.#server, this.client], 'replies', network, (by) => this.sever(by)),
    ];
  }

  /** To be called when the conditions have changed. */
  reconsider(): void {
    for (const pipe of this.#pipes) pipe.reconsider();
  }

  /** Passes nothing on any more, and tells nobody. */
  silence(): void {
    for (const pipe of this.#pipes) pipe.kill();
  }

  /** Ends both sides: with a reset, or for the client as if the server had said everything. */
  sever(by: Fate['by']): void {
    this.silence();
    if (by === 'end') this.client.end();
    else reset(this.client);
    reset(this.#server);
  }

  destroy(): void {
    this.silence();
    this.client.destroy();
    this.#server.destroy();
  }
}

/**
 * A socket that connects yet would put its reset off until it has connected, and one whose end is under way would refuse
 * it and never close.
 */
function reset(socket: Socket): void {
  const ending = socket.writableEnded && !socket.writableFinished;
  if (socket.connecting || ending) socket.destroy();
  else socket.resetAndDestroy();
}
