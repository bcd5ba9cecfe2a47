import { EventEmitter } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import Consul from 'consul';
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../../async/platform.ts';
import type { ConsulTls } from './tls.ts';

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
  return new Promise((resolve, reject) => {
    if (request.signal.aborted) return reject(request.signal.reason);
    new Exchanging(request, resolve, reject).start(client);
  });
}

/**
 * What the client writes the answer to, and at the same time what it listens to for being cancelled. It takes whatever has
 * a `pipe` for a stream; a real one costs more than all the rest here, and this one never is full.
 */
class Exchanging extends EventEmitter {
  readonly writable = true;
  /** The client starts nothing if it sees this first. */
  canceled = false;
  readonly #request: Exchange;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #last: NodeJS.Immediate | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #source: IncomingMessage | undefined;
  #settled = false;

  constructor(request: Exchange, resolve: (answer: Answer) => void, reject: (error: unknown) => void) {
    super();
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal, timeout } = request;
    // After a stall of the event loop timers come first, and what has arrived meanwhile only then: it is given its turn.
    this.#timer = setTimeout(() => {
      this.#last = setImmediate(() => {
        this.#cancel(new ExchangeError('timeout', `no answer within ${timeout} ms`));
      });
    }, timeout);
    signal.addEventListener('abort', this);
  }

  start(client: ConsulClient): void {
    const { method, path, headers, body, agent } = this.#request;
    const options = { name: 'holdfast', ctx: this, pipe: this, buffer: true, timeout: 0 };
    const finish = (error?: unknown): void => this.#finish(error);
    this.once('pipe', (response) => this.#receive(response as IncomingMessage));
    try {
      internalsOf(client)
        ._request({ method, path, headers, ...(body !== undefined && { body }), agent, ...options })
        .then(() => finish(), finish);
    } catch (error) {
      finish(error);
    }
  }

  /** Of the signal. */
  handleEvent(): void {
    this.#cancel(this.#request.signal.reason);
  }

  write(chunk: Buffer): boolean {
    const { maxBytes } = this.#request;
    this.#size += chunk.byteLength;
    if (this.#size > maxBytes) this.#cancel(new ExchangeError('too-large', `more than ${maxBytes} bytes`));
    else this.#chunks.push(chunk);
    return true;
  }

  end(): void {}

  pipe(): void {}

  #receive(response: IncomingMessage): void {
    this.#source = response;
    // The client waits for `end` alone, which never comes when the connection breaks half-way.
    const broken = (): void =>
      this.#cancel(new ExchangeError('cut-short', 'the connection broke in the middle'));
    response.on('error', broken);
    response.once('close', () => {
      if (!response.complete) broken();
    });
  }

  #finish(error: unknown): void {
    if (!this.#settle()) return;
    const source = this.#source;
    // An answer with another status than 2xx is a rejection of the client's, and an answer all the same.
    if (!source?.complete) {
      this.#reject(error ?? new ExchangeError('cut-short', 'there was no answer'));
      return;
    }
    const [chunk] = this.#chunks;
    const body = this.#chunks.length === 1 && chunk !== undefined ? chunk : Buffer.concat(this.#chunks);
    this.#resolve({ status: source.statusCode ?? 0, headers: source.headers, body });
  }

  #cancel(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
    this.canceled = true;
    this.emit('cancel');
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#last);
    this.#request.signal.removeEventListener('abort', this);
    return true;
  }
}
