import { Etcd3, type IOptions } from 'etcd3';
import { monotonic } from '../../async/platform.ts';
import { cancelSoon } from './cancel.ts';
import { type Failure, failureOf, Status } from './errors.ts';
import type { Dial } from './options.ts';

/**
 * Everything that is particular to the package etcd3 and to grpc-js.
 *
 * Of etcd3 only its generated gRPC clients and their channels are used, taken out through `withConnection`. Its own way to run a call
 * repeats a write whose outcome is unknown, opens circuit breakers, and can neither be aborted nor be given a time
 * limit where it matters.
 */

export type ServiceName = 'KV' | 'Lease' | 'Watch' | 'Auth';

export interface Metadata {
  clone(): Metadata;
  set(key: string, value: string): void;
}

export interface RawCall {
  cancel(): void;
}

export interface RawStream<Request, Response> extends RawCall {
  write(message: Request): boolean;
  on(event: 'data', listener: (message: Response) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end', listener: () => void): this;
}

interface ChannelCall {
  start(metadata: Metadata, listener: ChannelListener): void;
  sendMessageWithContext(context: object, message: Buffer): void;
  startRead(): void;
  halfClose(): void;
  cancelWithStatus(code: number, details: string): void;
}

interface ChannelListener {
  onReceiveMetadata(): void;
  onReceiveMessage(message: Buffer): void;
  onReceiveStatus(status: Failure): void;
}

interface Channel {
  createCall(path: string, deadline: number, host: null, parent: null, flags: null): ChannelCall;
  getTarget(): string;
  getConnectivityState(tryToConnect: boolean): number;
  watchConnectivityState(from: number, deadline: Date, changed: (error?: Error) => void): void;
}

interface RawClient {
  getChannel(): Channel;
  makeUnaryRequest(
    path: string,
    serialize: (request: Buffer) => Buffer,
    deserialize: (message: Buffer) => Buffer,
    request: Buffer,
    metadata: Metadata,
    options: object,
    done: (error: Error | null, response?: Buffer) => void,
  ): RawCall;
  close(): void;
}

/** One server as etcd3 knows it. */
interface Host {
  getServiceClient(name: ServiceName): RawClient;
}

interface Drawn {
  readonly resource: Host;
  readonly metadata: Metadata;
}

type Unary = (
  request: unknown,
  metadata: Metadata,
  options: object,
  done: (error: Error | null, response?: unknown) => void,
) => RawCall;

type Duplex = (metadata: Metadata) => RawStream<unknown, unknown>;

const IDLE = 0;
const CONNECTING = 1;
const READY = 2;
const TRANSIENT_FAILURE = 3;
/** Milliseconds. A watcher of the state cannot be taken back, and its timer must not outlive us for long. */
const STATE_SLICE = 200;

const GRPC_OPTIONS = {
  // The server tolerates pings 5 s apart (its --grpc-keepalive-min-time).
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A prefix may hold many records, but a peer gone mad must not fill the memory.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

/** The way to one server. */
export class Connection {
  /** `host:port`. */
  readonly address: string;
  /** Without credentials if the client is ours. */
  readonly metadata: Metadata;
  /** When something last came in, on the clock of `performance.now()`. */
  heardAt = Number.NEGATIVE_INFINITY;
  readonly #host: Host;
  #close: (() => void) | undefined;
  readonly #isOwn: boolean;
  readonly #underWay = new Set<RawCall>();

  constructor({ resource, metadata }: Drawn, close?: () => void) {
    this.#host = resource;
    this.metadata = metadata;
    this.#close = close;
    this.#isOwn = close !== undefined;
    this.address = resource.getServiceClient('KV').getChannel().getTarget().replace(/^dns:/, '');
  }

  get host(): unknown {
    return this.#host;
  }

  get failing(): boolean {
    return this.#state() === TRANSIENT_FAILURE;
  }

  get ready(): boolean {
    return this.#state() === READY;
  }

  /** Waits until the connection is made or has failed. `false`: it was neither within `limit` milliseconds. */
  async settled(limit: number): Promise<boolean> {
    const until = monotonic() + limit;
    for (;;) {
      const state = this.#state();
      if (state !== IDLE && state !== CONNECTING) return true;
      const left = until - monotonic();
      if (left <= 0) return false;
      // gRPC compares it with the global wall clock, whatever that is by now.
      const slice = new Date(Date.now() + Math.max(1, Math.min(left, STATE_SLICE)));
      const channel = this.#host.getServiceClient('KV').getChannel();
      await new Promise<void>((resolve) => channel.watchConnectivityState(state, slice, () => resolve()));
    }
  }

  /** Throws what a closed client throws. */
  call(
    service: ServiceName,
    method: string,
    request: unknown,
    metadata: Metadata,
    done: (failure: Failure | undefined, response?: unknown) => void,
  ): RawCall {
    const client = this.#host.getServiceClient(service) as unknown as Record<string, Unary>;
    const unary = client[method] as Unary;
    const call = unary.call(client, request, needingLeader(metadata), {}, (error, response) => {
      this.#underWay.delete(call);
      done(error === null ? undefined : failureOf(error), response);
    });
    this.#underWay.add(call);
    return call;
  }

  /** As `call`, but both messages are as they are on the wire. */
  send(
    path: string,
    request: Buffer,
    metadata: Metadata,
    done: (failure: Failure | undefined, response?: Buffer) => void,
  ): RawCall {
    const client = this.#host.getServiceClient('KV');
    const call = this.#isOwn
      ? callOn(client.getChannel(), path, request, needingLeader(metadata), (failure, response) => {
          this.#underWay.delete(call);
          done(failure, response);
        })
      : // The application may have set interceptors, which stand above the channel.
        client.makeUnaryRequest(path, asIs, asIs, request, needingLeader(metadata), {}, (error, response) => {
          this.#underWay.delete(call);
          done(error === null ? undefined : failureOf(error), response);
        });
    this.#underWay.add(call);
    return call;
  }

  stream<Request, Response>(
    service: ServiceName,
    method: string,
    metadata: Metadata,
  ): RawStream<Request, Response> {
    const client = this.#host.getServiceClient(service) as unknown as Record<string, Duplex>;
    const duplex = client[method] as Duplex;
    const stream = duplex.call(client, metadata) as RawStream<Request, Response>;
    this.#underWay.add(stream);
    stream.on('error', () => this.#underWay.delete(stream)).on('end', () => this.#underWay.delete(stream));
    return stream;
  }

  /** Ends calls and streams too, which would otherwise wait for a peer that is gone. Who made them is told. */
  sever(): void {
    for (const call of this.#underWay) cancelSoon(call);
    this.close();
  }

  /** Calls under way come to their end. A client that is not ours stays open. */
  close(): void {
    const close = this.#close;
    this.#close = undefined;
    close?.();
  }

  /** Asking makes it connect. A client that was closed counts as failing: a call on it is refused at once. */
  #state(): number {
    try {
      return this.#host.getServiceClient('KV').getChannel().getConnectivityState(true);
    } catch {
      return TRANSIENT_FAILURE;
    }
  }
}

function asIs(message: Buffer): Buffer {
  return message;
}

/**
 * What a client does for a request with one answer, on its channel: without a stack trace, an emitter and the room for
 * interceptors, which take a tenth of all that a small commit costs this process.
 */
function callOn(
  channel: Channel,
  path: string,
  request: Buffer,
  metadata: Metadata,
  done: (failure: Failure | undefined, response?: Buffer) => void,
): RawCall {
  const call = channel.createCall(path, Number.POSITIVE_INFINITY, null, null, null);
  let response: Buffer | undefined;
  call.start(metadata, {
    onReceiveMetadata: () => undefined,
    onReceiveMessage: (message) => {
      response = message;
    },
    onReceiveStatus: (status) => done(status.code === Status.ok ? undefined : status, response),
  });
  call.startRead();
  call.sendMessageWithContext({}, request);
  call.halfClose();
  return { cancel: () => call.cancelWithStatus(Status.cancelled, 'Cancelled on client') };
}

const withLeader = new WeakMap<Metadata, Metadata>();

/**
 * A member that has lost its leader says so at once, instead of taking a request that nobody will answer. The name is that
 * of etcd's `clientv3.WithRequireLeader`.
 */
function needingLeader(metadata: Metadata): Metadata {
  let needing = withLeader.get(metadata);
  if (needing === undefined) {
    needing = metadata.clone();
    needing.set('hasleader', 'true');
    withLeader.set(metadata, needing);
  }
  return needing;
}

export interface Connector {
  /** How many servers there are to choose from, as far as known. */
  readonly size: number;
  /** `avoid` is the one that just failed. */
  connect(avoid?: Connection): Promise<Connection>;
}

/** Dials by itself. Every connection has a client of its own, so that it can be replaced as a whole. */
export class Dialler implements Connector {
  readonly size: number;
  readonly #dial: Dial;
  #next: number;
  #generation = 0;

  constructor(dial: Dial) {
    this.#dial = dial;
    this.size = dial.addresses.length;
    // Not everybody to the first of the list.
    this.#next = Math.floor(Math.random() * this.size);
  }

  async connect(): Promise<Connection> {
    const { addresses, secure } = this.#dial;
    const address = addresses[this.#next++ % addresses.length] as string;
    const credentials = credentialsOf(this.#dial);
    const hosts = secure ? `https://${address}` : address;
    // Different options keep grpc-js from handing out the old connection again.
    const grpcOptions = { ...GRPC_OPTIONS, 'holdfast.generation': this.#generation++ };
    const options = { hosts, grpcOptions, ...(credentials && { credentials }) };
    const channelOverride = (await draw(new Etcd3(options))).resource.getServiceClient('KV').getChannel();
    // etcd3 makes a channel for every service. On one that comes later, grpc-js cannot say why there is no connection.
    const etcd = new Etcd3({
      ...options,
      grpcOptions: { ...grpcOptions, channelOverride } as NonNullable<IOptions['grpcOptions']>,
    });
    const drawn = await draw(etcd);
    return new Connection(drawn, () => closeClient(etcd, drawn.resource));
  }
}

/** Takes connections from a client of the application. Which server it gets is etcd3's choice, at random. */
export class Borrower implements Connector {
  readonly #client: Etcd3;
  readonly #seen = new Set<unknown>();

  constructor(client: Etcd3) {
    this.#client = client;
  }

  get size(): number {
    return Math.max(1, this.#seen.size);
  }

  async connect(avoid?: Connection): Promise<Connection> {
    let best: Connection | undefined;
    for (let draws = 0; draws < 16; draws++) {
      const drawn = await draw(this.#client);
      this.#seen.add(drawn.resource);
      const candidate = new Connection(drawn);
      if (candidate.host !== avoid?.host && !candidate.failing) best ??= candidate;
    }
    return best ?? new Connection(await draw(this.#client));
  }

  /** The application's credentials: etcd3 fetches the token if it has none. */
  async metadata(): Promise<Metadata> {
    return (await draw(this.#client)).metadata;
  }

  /**
   * Has etcd3 look at its token. It forgets a token only when a call that it ran itself was refused for it, so this
   * runs one, the smallest there is.
   */
  async reauthenticate(): Promise<void> {
    const key = Buffer.from([0]);
    await this.#client.kv.range({ key, limit: 1, keys_only: true }).catch(() => undefined);
  }
}

/** The member is private in the types, and the only door to what etcd3 wraps. */
function draw(etcd: Etcd3): Promise<Drawn> {
  const { client } = etcd.kv as unknown as {
    readonly client: { withConnection<T>(service: ServiceName, take: (drawn: Drawn) => T): Promise<T> };
  };
  return client.withConnection('KV', (drawn) => drawn);
}

function credentialsOf({ secure, tls }: Dial): IOptions['credentials'] {
  if (!secure || tls === undefined) return undefined;
  const { ca, cert, key } = tls;
  const credentials = {
    ...(ca !== undefined && { rootCertificate: Buffer.from(ca) }),
    ...(cert !== undefined && { certChain: Buffer.from(cert) }),
    ...(key !== undefined && { privateKey: Buffer.from(key) }),
  };
  // The types ask for a root certificate; grpc-js takes Node's without one.
  return credentials as IOptions['credentials'];
}

/** Its services share one channel. etcd3 alone would hold one that is still connecting open for up to a second. */
function closeClient(etcd: Etcd3, host: Host): void {
  host.getServiceClient('KV').close();
  etcd.close();
}
