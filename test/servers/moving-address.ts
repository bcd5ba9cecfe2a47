import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** An address behind which one server takes the place of another, as those of a managed database. */
export class MovingAddress implements AsyncDisposable {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #target: string;

  private constructor(target: string) {
    this.#target = target;
    this.#listener = createServer((client) => this.#join(client));
  }

  /** @param target `host:port`. */
  static async open(target: string): Promise<MovingAddress> {
    const address = new MovingAddress(target);
    address.#listener.listen(0, '127.0.0.1');
    await once(address.#listener, 'listening');
    return address;
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Whoever is connected is cut off. */
  move(target: string): void {
    this.lead(target);
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Whoever is connected stays so, and comes there only with his next connection: as with names that are looked up. */
  lead(target: string): void {
    this.#target = target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.move(this.#target);
    await closed;
  }

  #join(client: Socket): void {
    const [host, port] = this.#target.split(':');
    const server = connect(Number(port), host);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay().on('error', () => undefined);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
