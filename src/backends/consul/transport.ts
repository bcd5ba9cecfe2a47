import { once } from 'node:events';
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { monotonic, turn } from '../../async/platform.ts';
import { Window } from '../../async/window.ts';
import { SyncError } from '../../contract/errors.ts';
import {
  type Answer,
  agentSettingsOf,
  type ConsulClient,
  createClient,
  ExchangeError,
  exchange,
  internalsOf,
} from './client.ts';
import { exchangeError, statusError, wasNeverSent, withoutToken } from './errors.ts';
import type { Endpoint, Settings } from './options.ts';

/** Connections are set apart, so that sessions stand behind nothing, and commits never behind queries that block. */
export type Lane = 'sessions' | 'commands' | 'watches';

export interface Call {
  readonly lane: Lane;
  readonly method: 'GET' | 'PUT';
  /** Below `/v1`, encoded, with the query. */
  readonly path: string;
  readonly body?: string;
  /** Milliseconds. Default: the option `requestTimeout`. */
  readonly timeout?: number;
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
}

/** Bytes. An answer beyond this is cut off. */
const MAX_ANSWER = 16 * 1024 * 1024;
const SESSIONS = 2;
const MOST_WATCHES = 48;

export function connectionsOf(maxConnections: number): Record<Lane, number> {
  const commands = Math.max(2, Math.floor((maxConnections * 3) / 16));
  const watches = Math.min(MOST_WATCHES, maxConnections - SESSIONS - commands);
  return { sessions: SESSIONS, commands, watches };
}

/** Requests to one of the addresses, by connections of our own. */
export class Transport {
  readonly #settings: Settings;
  /** As many as there are connections: more would wait for one, and be taken for unanswered. */
  readonly commands: Window;
  #current = 0;
  #line: Line;
  #retired: Line[] = [];

  constructor(settings: Settings) {
    this.#settings = settings;
    this.commands = new Window(connectionsOf(settings.maxConnections).commands);
    this.#line = this.#open();
  }

  get address(): string {
    return this.#line.address;
  }

  /**
   * Any answer below 300, and 404 and 409, which are for the caller to read. Everything else rejects. A command waits for its
   * turn first, and its time begins then.
   */
  async call(call: Call): Promise<Answer> {
    if (call.lane !== 'commands') return this.callNow(call);
    await this.commands.turn(call.signal);
    try {
      return await this.callNow(call);
    } finally {
      this.commands.leave();
    }
  }

  /** For whoever has entered the window. */
  async callNow(call: Call): Promise<Answer> {
    const { requestTimeout, token, endpoints } = this.#settings;
    const { timeout = requestTimeout } = call;
    const deadline = monotonic() + timeout;
    for (let attempt = 1; ; attempt++) {
      const line = this.#line;
      try {
        const left = Math.max(1, deadline - monotonic());
        const answer = await exchange(line.client, {
          method: call.method,
          path: call.path,
          headers: token === undefined ? {} : { 'x-consul-token': token },
          ...(call.body !== undefined && { body: Buffer.from(call.body) }),
          agent: line.agents[call.lane],
          maxBytes: call.maxBytes ?? MAX_ANSWER,
          timeout: attempt === 1 ? timeout : left,
          signal: call.signal,
        });
        const { status } = answer;
        if ((status >= 200 && status < 300) || status === 404 || status === 409) return answer;
        throw statusError(answer, line.address, token);
      } catch (error) {
        if (call.signal.aborted) throw call.signal.reason;
        if (error instanceof SyncError) {
          // Such as an agent that has lost its servers: another one may not have.
          if (error.code === 'unavailable') this.#changeOver(line);
          throw error;
        }
        if (!(error instanceof ExchangeError && error.why === 'too-large')) this.#changeOver(line);
        // What may have been sent is not sent again: its outcome is unknown, and for the caller to find out.
        const again = wasNeverSent(error) && attempt < endpoints.length && monotonic() < deadline;
        if (!again) throw exchangeError(error, line.address);
      }
    }
  }

  /** For an answer that its caller cannot use after all. */
  refuse(answer: Answer): SyncError {
    return statusError(answer, this.address, this.#settings.token);
  }

  /** A text of the server, fit to be shown. */
  shown(text: string): string {
    return withoutToken(text, this.#settings.token);
  }

  async close(): Promise<void> {
    await Promise.all([this.#line, ...this.#retired].map((line) => line.close()));
  }

  #open(): Line {
    const endpoint = this.#settings.endpoints[this.#current];
    if (endpoint === undefined) throw new RangeError('no endpoint');
    return new Line(endpoint, connectionsOf(this.#settings.maxConnections));
  }

  #changeOver(from: Line): void {
    const { length } = this.#settings.endpoints;
    if (from !== this.#line || length === 1) return;
    this.#current = (this.#current + 1) % length;
    this.#retired = [...this.#retired.filter((line) => line.busy), from];
    from.retire();
    this.#line = this.#open();
  }
}

/** The connections to one address. */
class Line {
  readonly client: ConsulClient;
  readonly address: string;
  readonly agents: Readonly<Record<Lane, PlainAgent>>;

  constructor(endpoint: Endpoint, sizes: Record<Lane, number>) {
    this.client = 'client' in endpoint ? endpoint.client : createClient(endpoint.url, endpoint.tls);
    const { baseUrl, socketPath } = internalsOf(this.client)._opts;
    const secure = baseUrl.protocol === 'https:';
    const host = baseUrl.hostname.includes(':') ? `[${baseUrl.hostname}]` : baseUrl.hostname;
    this.address = socketPath ?? `${host}:${baseUrl.port || (secure ? 443 : 80)}`;
    const settings = 'client' in endpoint ? agentSettingsOf(endpoint.client) : {};
    const agent = (maxSockets: number) => {
      const options = { ...settings, keepAlive: true, maxSockets };
      return secure ? new TlsAgent(options) : new PlainAgent(options);
    };
    const { sessions, commands, watches } = sizes;
    this.agents = { sessions: agent(sessions), commands: agent(commands), watches: agent(watches) };
  }

  get busy(): boolean {
    return Object.values(this.agents).some((agent) => Object.keys(agent.sockets).length > 0);
  }

  /**
   * Lets what is under way end, and keeps no connection afterwards. Blocked queries are cut off: this address failed, so
   * they may never hear of anything, and whoever waits has to go on at the next one.
   */
  retire(): void {
    for (const socket of socketsIn(this.agents.watches.sockets)) socket.destroy();
    for (const agent of Object.values(this.agents)) {
      agent.maxFreeSockets = 0;
      for (const socket of socketsIn(agent.freeSockets)) socket.destroy();
    }
  }

  async close(): Promise<void> {
    const agents = Object.values(this.agents);
    const sockets = agents.flatMap((agent) => [...socketsIn(agent.sockets), ...socketsIn(agent.freeSockets)]);
    const closed = sockets.filter((socket) => !socket.destroyed).map((socket) => once(socket, 'close'));
    for (const agent of agents) agent.destroy();
    for (const socket of sockets) socket.destroy();
    await Promise.allSettled(closed);
    // Those that an abort destroyed just now may have told of their end already, but hold their descriptor for a turn.
    await turn();
  }
}

function socketsIn(pools: NodeJS.ReadOnlyDict<Socket[]>): Socket[] {
  return Object.values(pools).flatMap((sockets) => sockets ?? []);
}
