import { once } from 'node:events';
import { type ClientRequest, Agent as PlainAgent } from 'node:http';
import { type RequestOptions, Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { monotonic, turn } from '../../async/platform.ts';
import type { SyncError } from '../../contract/errors.ts';
import type { Connection } from '../kit/endpoints.ts';
import type { Present } from '../kit/provided.ts';
import { agentSettingsOf, type ConsulClient, dialled, isSecure } from './client.ts';
import type { ConsulTls } from './options.ts';

/** Sockets are set apart, so that sessions stand behind nothing, and commits never behind queries that block. */
export type Lane = 'sessions' | 'commands' | 'watches';

const SESSIONS = 2;
const MOST_WATCHES = 48;

export function connectionsOf(maxConnections: number): Record<Lane, number> {
  const commands = Math.max(2, Math.floor((maxConnections * 3) / 16));
  const watches = Math.min(MOST_WATCHES, maxConnections - SESSIONS - commands);
  return { sessions: SESSIONS, commands, watches };
}

/** The sockets to one server. */
export class ConsulConnection implements Connection {
  readonly client: ConsulClient;
  readonly address: string;
  readonly agents: Readonly<Record<Lane, PlainAgent>>;
  heardAt = Number.NEGATIVE_INFINITY;

  constructor(client: ConsulClient, sizes: Record<Lane, number>, tls: Present<ConsulTls> | undefined) {
    this.client = client;
    this.address = dialled(client);
    const agent = (maxSockets: number): PlainAgent => {
      const options = { ...agentSettingsOf(client), keepAlive: true, maxSockets };
      return noting(isSecure(client) ? secured(options, tls) : new PlainAgent(options));
    };
    const { sessions, commands, watches } = sizes;
    this.agents = { sessions: agent(sessions), commands: agent(commands), watches: agent(watches) };
  }

  get isBusy(): boolean {
    return Object.values(this.agents).some((agent) => Object.keys(agent.sockets).length > 0);
  }

  heard(): void {
    this.heardAt = monotonic();
  }

  /** One socket of these fell silent while others did not: those that rest may be as dead. */
  renewIdle(lane: Lane): void {
    for (const socket of socketsIn(this.agents[lane].freeSockets)) socket.destroy();
  }

  /** Blocked queries are cut off: they may never hear of anything, and whoever waits has to go on at the next one. */
  retire(): void {
    for (const socket of socketsIn(this.agents.watches.sockets)) socket.destroy();
    for (const agent of Object.values(this.agents)) {
      agent.maxFreeSockets = 0;
      for (const socket of socketsIn(agent.freeSockets)) socket.destroy();
    }
  }

  sever(): void {
    for (const agent of Object.values(this.agents)) {
      agent.destroy();
      for (const socket of socketsIn(agent.sockets)) socket.destroy();
    }
  }

  /** Resolves when no socket is left. */
  async close(): Promise<void> {
    const agents = Object.values(this.agents);
    const sockets = agents.flatMap((agent) => [...socketsIn(agent.sockets), ...socketsIn(agent.freeSockets)]);
    const closed = sockets.filter((socket) => !socket.destroyed).map((socket) => once(socket, 'close'));
    this.sever();
    await Promise.allSettled(closed);
    // Those that an abort destroyed just now may have told of their end already, but hold their descriptor for a turn.
    await turn();
  }
}

/** Resets of sockets that had rested when a request was sent: the server may have closed them just then. */
const onRested = new WeakSet<Error>();

/** Whether the server may never have seen the request, and be well. */
export function wasRested(error: unknown): boolean {
  return onRested.has(error as Error);
}

function noting<A extends PlainAgent>(agent: A): A {
  const reuse = agent.reuseSocket.bind(agent);
  agent.reuseSocket = (socket: Duplex, request: ClientRequest) => {
    reuse(socket, request);
    request.on('error', note);
  };
  return agent;
}

function note(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') onRested.add(error);
}

/** Carries what the application's function failed with through the client, which writes into the errors that it passes on. */
export class UnprovidedError extends Error {
  readonly told: SyncError;

  constructor(told: SyncError) {
    super('not provided');
    this.told = told;
  }
}

/** Certificates are asked for at each new socket. */
function secured(options: object, tls: Present<ConsulTls> | undefined): TlsAgent {
  if (tls === undefined) return new TlsAgent(options);
  // What is resumed was judged by the certificates of then.
  const agent = new TlsAgent({ ...options, ...(tls.changes && { maxCachedSessions: 0 }) });
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (request, callback) => {
    const { known } = tls;
    if (known !== undefined) return create(withTls(request, known), callback);
    tls.get().then(
      (present) => {
        tls.forget();
        const socket = create(withTls(request, present));
        if (socket) callback?.(null, socket);
      },
      (error: SyncError) => callback?.(new UnprovidedError(error), undefined as never),
    );
    return undefined;
  };
  return agent;
}

/** Members that are `undefined` would replace Node's defaults: no `rejectUnauthorized` must mean true. */
function withTls(request: RequestOptions, tls: ConsulTls): RequestOptions {
  return {
    ...request,
    ...Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
  };
}

function socketsIn(pools: NodeJS.ReadOnlyDict<Socket[]>): Socket[] {
  return Object.values(pools).flatMap((sockets) => sockets ?? []);
}
