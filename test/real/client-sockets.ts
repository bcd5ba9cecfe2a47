import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const CHANNEL = 'net.client.socket';

/**
 * The connections of this process to one port, counted where they are made: of one that is given up the other side hears
 * later, and on a busy machine after the one that takes its place.
 */
export class ClientSockets implements Disposable {
  /** The most that were open at once. */
  most = 0;
  readonly #port: number;
  readonly #open = new Set<Socket>();
  readonly #onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    socket.once('connect', () => {
      if (socket.remotePort !== this.#port) return;
      // One that was destroyed tells of its `close` only later.
      for (const other of this.#open) if (other.destroyed) this.#open.delete(other);
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      this.most = Math.max(this.most, this.#open.size);
    });
  };

  /** @param address `host:port` */
  constructor(address: string) {
    this.#port = Number(address.slice(address.lastIndexOf(':') + 1));
    subscribe(CHANNEL, this.#onSocket);
  }

  get open(): number {
    return [...this.#open].filter(({ destroyed }) => !destroyed).length;
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNEL, this.#onSocket);
  }
}
