import { type IncomingHttpHeaders, request } from 'node:http';

export interface HttpResponse {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

export interface HttpOptions {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds of silence after which the request fails. */
  readonly timeout?: number;
}

/**
 * One plain request on a connection of its own, so that nothing of the harness counts as an open connection of the
 * tests. The path goes out exactly as given, and redirects are answers.
 */
export function httpRequest(address: string, path: string, options: HttpOptions = {}): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const [host, port] = splitAddress(address);
    const outgoing = request(
      { host, port, path, agent: false, method: options.method ?? 'GET', headers: { ...options.headers } },
      (incoming) => {
        let body = '';
        incoming.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        incoming.once('error', reject);
        incoming.once('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body, headers: incoming.headers }),
        );
      },
    );
    outgoing.setTimeout(options.timeout ?? 5_000, () =>
      outgoing.destroy(new Error(`${options.method ?? 'GET'} ${address}${path}: no answer`)),
    );
    outgoing.once('error', reject);
    outgoing.end(options.body);
  });
}

/** Splits `host:port`. */
export function splitAddress(address: string): [host: string, port: number] {
  const match = /^\[?([^\]/]+?)\]?:(\d+)$/.exec(address);
  if (match?.[1] === undefined) throw new Error(`Expected host:port, not "${address}".`);
  return [match[1], Number(match[2])];
}
