import { EventEmitter } from 'node:events';
import {
  type ClientRequestArgs,
  type IncomingHttpHeaders,
  type IncomingMessage,
  Agent as PlainAgent,
} from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import Consul from 'consul';

/**
 * Everything odd about the npm client is dealt with in this file. Only its lowest method is used: what is above it
 * loses precision in flags and indexes, drops fields, and knows neither deadlines nor abort signals.
 */

export type ConsulClient = InstanceType<typeof Consul>;

/** Where one is. */
export type Server =
  | { readonly secure: boolean; readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** Of an agent, those that say where it goes and for how long it waits. */
type AgentSettings = Pick<ClientRequestArgs, 'socketPath' | 'host' | 'port' | 'timeout'>;

/** Members that the client's types leave out. */
interface Internals {
  readonly _opts: {
    readonly baseUrl: { readonly protocol: string; hostname: string; readonly port?: string };
    readonly agent?: PlainAgent & { readonly options: AgentSettings };
    readonly socketPath?: string;
  };
  readonly _defaults?: Readonly<Record<string, unknown>>;
  _request(options: object): Promise<IncomingMessage>;
}

export function isConsulClient(value: unknown): value is ConsulClient & Internals {
  const { _opts: options, _request: request } = (value ?? {}) as Partial<Internals>;
  return typeof request === 'function' && typeof options?.baseUrl?.hostname === 'string';
}

function internalsOf(client: ConsulClient): Internals {
  return client as unknown as Internals;
}

export function createClient(server: Server): ConsulClient {
  if ('socketPath' in server) return newClient({ socketPath: server.socketPath });
  const { secure, host, port } = server;
  const client = newClient({ baseUrl: new URL(`${secure ? 'https' : 'http'}://${host}:${port}/v1`) });
  // The client hands the brackets of an IPv6 address to the resolver, which knows no such name.
  const { baseUrl } = internalsOf(client)._opts;
  baseUrl.hostname = baseUrl.hostname.replace(/^\[(.*)\]$/, '$1');
  return client;
}

function newClient(options: object): ConsulClient {
  return new Consul(options as ConstructorParameters<typeof Consul>[0]);
}

export function isSecure(client: ConsulClient): boolean {
  return internalsOf(client)._opts.baseUrl.protocol === 'https:';
}

/** What is dialled, and nothing else of what stands beside it. Node lets what an agent says win. */
export function dialled(client: ConsulClient): string {
  const { baseUrl, socketPath, agent } = internalsOf(client)._opts;
  const settings: AgentSettings = agent?.options ?? {};
  const path = settings.socketPath ?? socketPath;
  if (path) return path;
  const host = settings.host ?? baseUrl.hostname;
  const port = settings.port ?? (baseUrl.port || (isSecure(client) ? 443 : 80));
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Ours takes the place of the agent that the application gave its client, with all that is set on that one. */
export function agentSettingsOf(client: ConsulClient): object {
  return internalsOf(client)._opts.agent?.options ?? {};
}

/** What a client of ours could not do as it was told, by the name of where that stands. */
export function lentProblem(client: ConsulClient): string | undefined {
  const { agent } = internalsOf(client)._opts;
  const kind = agent?.constructor;
  // An agent of another class, such as one for a proxy, does what ours would not.
  if (kind !== undefined && kind !== PlainAgent && kind !== TlsAgent) {
    return 'has an agent of another kind than those of Node';
  }
  if (agent !== undefined && Object.hasOwn(agent, 'createConnection')) {
    return 'has an agent with a "createConnection" of its own';
  }
  const { timeout = 0 } = agent?.options ?? {};
  if (timeout > 0 && timeout < LEAST_IDLE) {
    return `has an agent with a "timeout" below ${LEAST_IDLE} ms, which would cut off queries that block`;
  }
  const { _defaults: defaults = {} } = internalsOf(client);
  const unusable = UNUSABLE.find((name) => defaults[name] !== undefined && defaults[name] !== false);
  return unusable && `has the default "${unusable}", which can not be kept`;
}

/** Milliseconds for which nothing comes in while a query blocks. */
const LEAST_IDLE = 10_000;

/** What is read must not be stale, and how long a request may take is for us to say. */
const UNUSABLE = ['stale', 'wait', 'wan', 'timeout'];

/** As they are at present: an application may change them at any time. */
export interface Defaults {
  readonly token: string | undefined;
  readonly dc: string | undefined;
  readonly partition: string | undefined;
}

export function defaultsOf(client: ConsulClient): Defaults {
  const { token, dc, partition } = internalsOf(client)._defaults ?? {};
  return { token: textOf(token), dc: textOf(dc), partition: textOf(partition) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export interface Exchange {
  readonly method: 'GET' | 'PUT';
  /** With the query. Braces must be encoded: the client takes `{name}` for a parameter. */
  readonly path: string;
  readonly token: string | undefined;
  readonly body: string | undefined;
  readonly agent: PlainAgent;
  /** The most bytes to read of an answer. */
  readonly maxBytes: number;
}

/** Who is told what became of an exchange: once, unless it is cut off before. */
export interface Exchanger {
  /** Something came in. */
  heard(): void;
  answered(status: number, headers: IncomingHttpHeaders, body: Buffer): void;
  /** By an `ExchangeError`, or by what the network said; then no listener and no connection in use is left. */
  failed(error: unknown): void;
}

/** Why there is no answer, when it was not the network that said so. */
export class ExchangeError extends Error {
  readonly why: 'timeout' | 'too-large' | 'cut-short';

  constructor(why: ExchangeError['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** One request and its answer, whatever its status. Redirects are not followed. Returns what cuts it off. */
export function exchange(client: ConsulClient, request: Exchange, exchanger: Exchanger): Exchanging {
  const exchanging = new Exchanging(request, exchanger);
  exchanging.start(client);
  return exchanging;
}

/**
 * What the client writes the answer to, and at the same time what it listens to for being cancelled. It takes whatever has
 * a `pipe` for a stream; a real one costs more than all the rest here, and this one never is full.
 */
export class Exchanging extends EventEmitter {
  readonly writable = true;
  /** The client starts nothing if it sees this first. */
  canceled = false;
  readonly #request: Exchange;
  readonly #exchanger: Exchanger;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #source: IncomingMessage | undefined;
  #settled = false;

  constructor(request: Exchange, exchanger: Exchanger) {
    super();
    this.#request = request;
    this.#exchanger = exchanger;
  }

  start(client: ConsulClient): void {
    const { method, path, token, body, agent } = this.#request;
    const options = { name: 'holdfast', ctx: this, pipe: this, buffer: true, timeout: 0 };
    const headers = token === undefined ? {} : { 'x-consul-token': token };
    const finish = (error?: unknown): void => this.#finish(error);
    this.once('pipe', (response) => this.#receive(response as IncomingMessage));
    try {
      internalsOf(client)
        ._request({
          method,
          path,
          headers,
          ...(body !== undefined && { body: Buffer.from(body) }),
          agent,
          ...options,
        })
        .then(() => finish(), finish);
    } catch (error) {
      finish(error);
    }
  }

  /** Nobody is told any more. */
  cut(): void {
    this.#settled = true;
    this.canceled = true;
    this.emit('cancel');
  }

  write(chunk: Buffer): boolean {
    if (this.#settled) return true;
    const { maxBytes } = this.#request;
    this.#exchanger.heard();
    this.#size += chunk.byteLength;
    if (this.#size > maxBytes) this.#fail(new ExchangeError('too-large', `more than ${maxBytes} bytes`));
    else this.#chunks.push(chunk);
    return true;
  }

  end(): void {}

  pipe(): void {}

  #receive(response: IncomingMessage): void {
    this.#source = response;
    this.#exchanger.heard();
    // The client waits for `end` alone, which never comes when the connection breaks half-way.
    const broken = (): void =>
      this.#fail(new ExchangeError('cut-short', 'the connection broke in the middle'));
    response.on('error', broken);
    response.once('close', () => {
      if (!response.complete) broken();
    });
  }

  #finish(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    const source = this.#source;
    // An answer with another status than 2xx is a rejection of the client's, and an answer all the same.
    if (!source?.complete) {
      this.#exchanger.failed(error ?? new ExchangeError('cut-short', 'there was no answer'));
      return;
    }
    const [chunk] = this.#chunks;
    const body = this.#chunks.length === 1 && chunk !== undefined ? chunk : Buffer.concat(this.#chunks);
    this.#exchanger.answered(source.statusCode ?? 0, source.headers, body);
  }

  #fail(error: ExchangeError): void {
    if (this.#settled) return;
    this.cut();
    this.#exchanger.failed(error);
  }
}
