import { Etcd3, type IOptions } from 'etcd3';
import { setImmediate } from '../../async/platform.ts';
import type { Tls } from '../kit/tls.ts';
import { type Failure, failureOf, Status } from './errors.ts';

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
export interface Host {
  /** As the application wrote it, without `https://`. */
  readonly host: string;
  getServiceClient(name: ServiceName): RawClient;
}

export interface Drawn {
  readonly resource: Host;
  readonly metadata: Metadata;
}

/** States of a channel, as grpc-js numbers them. */
export const State = { idle: 0, connecting: 1, ready: 2, transientFailure: 3 } as const;

const GRPC_OPTIONS = {
  // The server tolerates pings 5 s apart (its --grpc-keepalive-min-time).
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // What failed is left for a new connection, with pauses of our own.
  'grpc.initial_reconnect_backoff_ms': 1_000,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A name's address changes when a pod is rescheduled. grpc-js would ask again only every 30 s.
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  // Else `http_proxy`, which is meant for the web, takes passwords and locks along.
  'grpc.enable_http_proxy': 0,
  // A prefix may hold many records, but a peer gone mad must not fill the memory.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

let generation = 0;

/** A client of our own for one server, whose services share one channel. Returns how to close it, too. */
export async function dialled(
  address: string,
  secure: boolean,
  tls: Tls | undefined,
): Promise<{ drawn: Drawn; close: () => void }> {
  const credentials = tls && secure ? credentialsOf(tls) : undefined;
  const hosts = secure ? `https://${address}` : address;
  // Different options keep grpc-js from handing out the old connection again.
  const grpcOptions = { ...GRPC_OPTIONS, 'holdfast.generation': generation++ };
  const options = { hosts, grpcOptions, ...(credentials && { credentials }) };
  const channelOverride = (await draw(new Etcd3(options))).resource.getServiceClient('KV').getChannel();
  // etcd3 makes a channel for every service. On one that comes later, grpc-js cannot say why there is no connection.
  const etcd = new Etcd3({
    ...options,
    grpcOptions: { ...grpcOptions, channelOverride } as NonNullable<IOptions['grpcOptions']>,
  });
  const drawn = await draw(etcd);
  const close = (): void => {
    // etcd3 alone would hold a channel that is still connecting open for up to a second.
    drawn.resource.getServiceClient('KV').close();
    etcd.close();
  };
  return { drawn, close };
}

/** The member is private in the types, and the only door to what etcd3 wraps. */
export function draw(etcd: Etcd3): Promise<Drawn> {
  const { client } = etcd.kv as unknown as {
    readonly client: { withConnection<T>(service: ServiceName, take: (drawn: Drawn) => T): Promise<T> };
  };
  return client.withConnection('KV', (drawn) => drawn);
}

/** A namespace of a client has less: its prefix would be dropped without a word. */
export function isClient(client: unknown): client is Etcd3 {
  const { kv, cluster } = (client ?? {}) as Partial<Record<'kv' | 'cluster', unknown>>;
  return typeof kv === 'object' && typeof cluster === 'object';
}

/**
 * What a client does for a request with one answer, on its channel: without a stack trace, an emitter and the room for
 * interceptors, which take a tenth of all that a small commit costs this process.
 */
export function callOn(
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

/** The same through a client whose interceptors, which stand above the channel, are to be kept. */
export function callThrough(
  client: RawClient,
  path: string,
  request: Buffer,
  metadata: Metadata,
  done: (failure: Failure | undefined, response?: Buffer) => void,
): RawCall {
  return client.makeUnaryRequest(path, asIs, asIs, request, metadata, {}, (error, response) =>
    done(error === null ? undefined : failureOf(error), response),
  );
}

function asIs(message: Buffer): Buffer {
  return message;
}

/**
 * Cancels a call or a stream, in a turn of its own. While what has come in is being handled, the cancels of two streams
 * can set Node's HTTP/2 to queueing empty frames without end: `rstStream` never returns, and memory fills (Node 20.20).
 */
export function cancelSoon(call: RawCall): void {
  setImmediate(() => call.cancel());
}

const withLeader = new WeakMap<Metadata, Metadata>();

/**
 * A member that has lost its leader says so at once, instead of taking a request that nobody will answer. The name is that
 * of etcd's `clientv3.WithRequireLeader`.
 */
export function needingLeader(metadata: Metadata): Metadata {
  let needing = withLeader.get(metadata);
  if (needing === undefined) {
    needing = metadata.clone();
    needing.set('hasleader', 'true');
    withLeader.set(metadata, needing);
  }
  return needing;
}

function credentialsOf({ ca, cert, key }: Tls): IOptions['credentials'] {
  const credentials = {
    ...(ca !== undefined && { rootCertificate: Buffer.from(ca) }),
    ...(cert !== undefined && { certChain: Buffer.from(cert) }),
    ...(key !== undefined && { privateKey: Buffer.from(key) }),
  };
  // The types ask for a root certificate; grpc-js takes Node's without one.
  return credentials as IOptions['credentials'];
}
