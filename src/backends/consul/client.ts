import { EventEmitter } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { type Readable, Writable } from 'node:stream';
import Consul from 'consul';
import type { ConsulTls } from './options.ts';

/**
 * Everything odd about the npm client is dealt with in this file. Only its lowest method is used: what is above it
 * loses precision in flags and indexes, drops fields, and knows neither deadlines nor abort signals.
 */

export type ConsulClient = InstanceType<typeof Consul>;

/** Members that the client's types leave out. */
interface Internals {
  readonly _opts: {
    readonly baseUrl: { readonly protocol: string; hostname: string; readonly port?: string };
    readonly agent?: PlainAgent;
    readonly socketPath?: string;
  };
  readonly _defaults?: { readonly token?: string; readonly dc?: string };
  _request(options: object): Promise<IncomingMessage>;
}

export function isConsulClient(value: unknown): value is ConsulClient & Internals {
  const { _opts: options, _request: request } = (value ?? {}) as Partial<Internals>;
  return typeof request === 'function' && typeof options?.baseUrl?.hostname === 'string';
}

export function createClient(url: URL, tls: ConsulTls): ConsulClient {
  // Members that are `undefined` would replace Node's defaults: no `rejectUnauthorized` must mean true.
  const given = Object.entries(tls).filter(([, value]) => value !== undefined);
  const options = { baseUrl: new URL('/v1', url), ...Object.fromEntries(given) };
  const client = new Consul(options as ConstructorParameters<typeof Consul>[0]);
  if (isConsulClient(client)) {
    const { baseUrl } = client._opts;
    // The client hands the brackets of an IPv6 address to the resolver, which knows no such name.
    baseUrl.hostname = baseUrl.hostname.replace(/^\[(.*)\]$/, '$1');
  }
  return client;
}

export function internalsOf(client: ConsulClient): Internals {
  return client as unknown as Internals;
}

/** The TLS settings of an agent that the application gave its client; ours takes the place of that agent. */
export function agentSettingsOf(client: ConsulClient): object {
  const { agent } = internalsOf(client)._opts;
  return agent instanceof TlsAgent ? { ...agent.options } : {};
}

/** An agent of another class, such as one for a proxy, does what ours would not. */
export function canReplaceAgent(client: ConsulClient): boolean {
  const kind = internalsOf(client)._opts.agent?.constructor;
  return kind === undefined || kind === PlainAgent || kind === TlsAgent;
}

export interface Exchange {
  readonly method: 'GET' | 'PUT';
  /** With the query. Braces must be encoded: the client takes `{name}` for a parameter. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly agent: PlainAgent;
  /** The most bytes to read of an answer. */
  readonly maxBytes: number;
  /** Milliseconds until the exchange is given up. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Why there is no answer, when it was not the network that said so. */
export class ExchangeError extends Error {
  readonly why: 'timeout' | 'too-large' | 'cut-short';

  constructor(why: ExchangeError['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/**
 * One request and its answer, whatever its status. Redirects are not followed. Rejects with the signal's reason, with
 * an `ExchangeError`, or with what the network said; and then no listener, timer or connection in use is left.
 */
export function exchange(client: ConsulClient, request: Exchange): Promise<Answer> {
  const { signal, timeout, maxBytes, ...rest } = request;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    // The client aborts on this event, and starts nothing if it sees the mark first.
    const context = Object.assign(new EventEmitter(), { canceled: false });
    const chunks: Buffer[] = [];
    let size = 0;
    let source: IncomingMessage | undefined;
    let settled = false;

    const settle = (end: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      end();
    };
    const cancel = (reason: unknown) => {
      settle(() => reject(reason));
      context.canceled = true;
      context.emit('cancel');
    };
    const abort = () => cancel(signal.reason);
    const timer = setTimeout(
      () => cancel(new ExchangeError('timeout', `no answer within ${timeout} ms`)),
      timeout,
    );
    signal.addEventListener('abort', abort, { once: true });

    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        size += chunk.byteLength;
        if (size > maxBytes) cancel(new ExchangeError('too-large', `more than ${maxBytes} bytes`));
        else chunks.push(chunk);
        done();
      },
    });
    sink.once('pipe', (readable: Readable) => {
      const response = readable as IncomingMessage;
      source = response;
      // The client waits for `end` alone, which never comes when the connection breaks half-way.
      const broken = () => cancel(new ExchangeError('cut-short', 'the connection broke in the middle'));
      response.on('error', broken);
      response.once('close', () => {
        if (!response.complete) broken();
      });
    });

    const finish = (error?: unknown) =>
      settle(() => {
        // An answer with another status than 2xx is a rejection of the client's, and an answer all the same.
        if (!source?.complete) return reject(error ?? new ExchangeError('cut-short', 'there was no answer'));
        resolve({ status: source.statusCode ?? 0, headers: source.headers, body: Buffer.concat(chunks) });
      });
    try {
      internalsOf(client)
        ._request({ ...rest, name: 'holdfast', ctx: context, pipe: sink, buffer: true, timeout: 0 })
        .then(() => finish(), finish);
    } catch (error) {
      finish(error);
    }
  });
}
