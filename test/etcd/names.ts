import { promises as dns, type LookupAddress } from 'node:dns';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What names of the tests' own resolve to, for whatever asks the system in this process: grpc-js does. */
export class Names implements Disposable {
  readonly #addresses = new Map<string, string | undefined>();
  readonly #before = dns.lookup;

  constructor() {
    const before = this.#before as (name: string, options: object) => Promise<LookupAddress[]>;
    const lookup = async (name: string, options: object): Promise<LookupAddress[]> => {
      if (!this.#addresses.has(name)) return await before(name, options);
      const address = this.#addresses.get(name);
      if (address === undefined) throw new Error(`getaddrinfo ENOTFOUND ${name}`);
      return [{ address, family: 4 }];
    };
    dns.lookup = lookup as typeof dns.lookup;
  }

  /** Without an address the name is known to nobody. */
  set(name: string, address: string | undefined): void {
    this.#addresses.set(name, address);
  }

  [Symbol.dispose](): void {
    dns.lookup = this.#before;
  }
}

/** Passes connections of a loopback address on. */
export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  #target: string;

  static async open(host: string, target: string, port = 0): Promise<Relay> {
    const relay = new Relay(host, target);
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject).listen(port, host, resolve);
    });
    return relay;
  }

  private constructor(host: string, target: string) {
    this.#host = host;
    this.#target = target;
    this.#server = createServer((socket) => this.#pass(socket));
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get address(): string {
    return `${this.#host}:${this.port}`;
  }

  /** Those of now are cut off, those to come are passed on to somebody else. */
  to(target: string): void {
    this.#target = target;
    this.#cut();
  }

  /** As a host that is gone: what comes is not read any more. */
  freeze(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
    this.#server.removeAllListeners('connection').on('connection', (socket: Socket) => this.#keep(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#cut();
    await closed;
  }

  #pass(socket: Socket): void {
    const [host, port] = this.#target.split(':');
    const onward = connect(Number(port), host);
    this.#keep(socket);
    this.#keep(onward);
    socket.pipe(onward).pipe(socket);
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
