import { monotonic } from '../../async/platform.ts';
import type { Connection } from '../kit/endpoints.ts';
import {
  callOn,
  callThrough,
  cancelSoon,
  type Drawn,
  type Host,
  type Metadata,
  needingLeader,
  type RawCall,
  type RawStream,
  type ServiceName,
  State,
} from './client.ts';
import { type Failure, failureOf } from './errors.ts';

type Unary = (
  request: unknown,
  metadata: Metadata,
  options: object,
  done: (error: Error | null, response?: unknown) => void,
) => RawCall;

type Duplex = (metadata: Metadata) => RawStream<unknown, unknown>;

/** What would go on for ever, and is to go on elsewhere. */
export interface Retiring {
  retire(): void;
}

/** Milliseconds. A watcher of the state cannot be taken back, and its timer must not outlive us for long. */
const STATE_SLICE = 200;

/** The way to one server. */
export class EtcdConnection implements Connection {
  readonly address: string;
  /** Without credentials if the client is ours. */
  readonly metadata: Metadata;
  heardAt = Number.NEGATIVE_INFINITY;
  readonly host: Host;
  #close: (() => void) | undefined;
  readonly #isOwn: boolean;
  #wasReady = false;
  readonly #calls = new Set<RawCall>();
  readonly #streams = new Set<Retiring>();

  /** @param close without it, the client is not ours. */
  constructor(address: string, { resource, metadata }: Drawn, close?: () => void) {
    this.address = address;
    this.host = resource;
    this.metadata = metadata;
    this.#close = close;
    this.#isOwn = close !== undefined;
  }

  get failing(): boolean {
    return this.#state(true) === State.transientFailure;
  }

  get ready(): boolean {
    if (this.#state(false) !== State.ready) return false;
    this.#wasReady = true;
    return true;
  }

  /** It was made, and is no more. gRPC would make it again by itself, by the old address and with the old certificate. */
  get isCut(): boolean {
    return this.#wasReady && !this.ready;
  }

  /** Waits until the connection is made or has failed. `false`: it was neither within `limit` milliseconds. */
  async settled(limit: number): Promise<boolean> {
    const until = monotonic() + limit;
    for (;;) {
      const state = this.#state(true);
      if (state !== State.idle && state !== State.connecting) {
        this.#wasReady ||= state === State.ready;
        return true;
      }
      const left = until - monotonic();
      if (left <= 0) return false;
      // gRPC compares it with the global wall clock, whatever that is by now.
      const slice = new Date(Date.now() + Math.max(1, Math.min(left, STATE_SLICE)));
      const channel = this.host.getServiceClient('KV').getChannel();
      await new Promise<void>((resolve) => channel.watchConnectivityState(state, slice, () => resolve()));
    }
  }

  /** A request that the generated client encodes. Throws what a closed client throws. */
  call(
    service: ServiceName,
    method: string,
    request: unknown,
    metadata: Metadata,
    done: (failure: Failure | undefined, response?: unknown) => void,
  ): RawCall {
    const client = this.host.getServiceClient(service) as unknown as Record<string, Unary>;
    const unary = client[method] as Unary;
    const call = unary.call(client, request, needingLeader(metadata), {}, (error, response) => {
      this.#calls.delete(call);
      done(error === null ? undefined : failureOf(error), response);
    });
    this.#calls.add(call);
    return call;
  }

  /** As `call`, but both messages are as they are on the wire. */
  send(
    path: string,
    request: Buffer,
    metadata: Metadata,
    done: (failure: Failure | undefined, response?: Buffer) => void,
  ): RawCall {
    const client = this.host.getServiceClient('KV');
    const answered = (failure: Failure | undefined, response?: Buffer): void => {
      this.#calls.delete(call);
      done(failure, response);
    };
    const call = this.#isOwn
      ? callOn(client.getChannel(), path, request, needingLeader(metadata), answered)
      : callThrough(client, path, request, needingLeader(metadata), answered);
    this.#calls.add(call);
    return call;
  }

  /** `stream` is told when the connection is left. Returns what takes that back, too. */
  stream<Request, Response>(
    service: ServiceName,
    method: string,
    metadata: Metadata,
    stream: Retiring,
  ): { readonly raw: RawStream<Request, Response>; readonly forget: () => void } {
    const client = this.host.getServiceClient(service) as unknown as Record<string, Duplex>;
    const duplex = client[method] as Duplex;
    const raw = duplex.call(client, needingLeader(metadata)) as RawStream<Request, Response>;
    this.#streams.add(stream);
    return { raw, forget: () => this.#streams.delete(stream) };
  }

  /** A client that is not ours stays open. */
  retire(): void {
    const close = this.#close;
    this.#close = undefined;
    close?.();
    for (const stream of [...this.#streams]) stream.retire();
  }

  /** Calls would wait for a peer that is gone. */
  sever(): void {
    for (const call of this.#calls) cancelSoon(call);
    this.retire();
  }

  /** A client that was closed counts as failing: a call on it is refused at once. */
  #state(connect: boolean): number {
    try {
      return this.host.getServiceClient('KV').getChannel().getConnectivityState(connect);
    } catch {
      return State.transientFailure;
    }
  }
}
