import { Socket } from 'node:net';
import { systemClock } from '../../async/clock.ts';
import { within } from '../../async/within.ts';

/** Milliseconds for a server to take its leave: one that is stopped never does. */
const FAREWELL = 250;

/** The sockets of connections of ours, none of which stays open for a server that does not answer. */
export class Sockets {
  readonly #open = new Map<Socket, Promise<void>>();

  /** One for the package pg to connect. */
  readonly make = (): Socket => {
    const socket = new Socket();
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        this.#open.delete(socket);
        resolve();
      });
    });
    this.#open.set(socket, closed);
    return socket;
  };

  /** Resolves when none is left. Never rejects. @param leaving ends what they belong to, in good order. */
  async end(leaving: Promise<unknown>): Promise<void> {
    const closed = leaving.then(() => Promise.all(this.#open.values()));
    await within(systemClock, FAREWELL, closed);
    for (const socket of this.#open.keys()) socket.destroy();
  }
}
