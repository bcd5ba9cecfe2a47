import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * One value, in a system of its own that knows nothing of locks, over HTTP: `GET` and `PUT` with the token in the header
 * `x-token`. If it checks tokens, it refuses (409) whatever comes with a smaller one than it has seen. Reads bring their
 * token too: otherwise a former holder could still write between a read and a write of its successor.
 */
export class OutsideStore implements AsyncDisposable {
  value: string | undefined;
  readonly #checks: boolean;
  #largest = 0n;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  private constructor(checks: boolean) {
    this.#checks = checks;
    // A connection that is closed while its client is stopped would make outcomes unknown.
    this.#server.keepAliveTimeout = 600_000;
  }

  static async open({ checks }: { readonly checks: boolean }): Promise<OutsideStore> {
    const store = new OutsideStore(checks);
    await new Promise<void>((resolve) => store.#server.listen(0, '127.0.0.1', resolve));
    return store;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.setEncoding('utf8');
    let body = '';
    for await (const text of request) body += text;
    const token = BigInt(String(request.headers['x-token']));
    if (this.#checks && token < this.#largest) {
      response.writeHead(409).end();
      return;
    }
    if (token > this.#largest) this.#largest = token;
    if (request.method === 'PUT') this.value = body;
    response.end(this.value ?? '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
