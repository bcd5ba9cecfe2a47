import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnChild } from './child.ts';
import { type HttpResponse, httpRequest } from './http.ts';
import { locateBinary } from './locate.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { type Command, retryInUse, ServerProcess } from './process.ts';
import { type RunOptions, type RunResult, run } from './run.ts';
import { isAtLeast } from './version.ts';

export interface ConsulOptions {
  /** The shortest session TTL the server grants; its own default is "10s". */
  readonly sessionTtlMin?: string;
  /** Deny by default. The management token is `ConsulServer.token`. */
  readonly acl?: boolean;
  /** Keep the state on disk, so that it survives `restart`. Otherwise it lives in memory. */
  readonly persistent?: boolean;
  readonly limits?: {
    /** The server's own default is 200. */
    readonly httpMaxConnsPerClient?: number;
  };
  /** A client agent of this server, instead of a server of its own. It leaves the cluster when it is stopped. */
  readonly agentOf?: ConsulServer;
  /** More of the server's configuration, merged over ours. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The same in HCL. */
  readonly hcl?: string;
}

interface Binary {
  readonly file: string;
  /** What `consul version` says. */
  readonly version: string;
}

/** What is read of `/v1/health/service/consul`. */
interface SelfEntry {
  readonly Node: { readonly TaggedAddresses: object | null };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

const PORTS = 4;

/** A running Consul: one server agent, its own leader; or a client agent. */
export class ConsulServer extends ServerProcess {
  /** Of the HTTP API, as `host:port`. */
  readonly address: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly url: string;
  /** The name of its node in the catalog. */
  readonly node: string;
  /** The management token when `acl` is on. */
  readonly token: string | undefined;
  readonly #binary: Binary;
  readonly #options: ConsulOptions;

  constructor(binary: Binary, options: ConsulOptions, reservation: PortReservation) {
    super('consul', reservation);
    this.port = this.ports[0] ?? 0;
    this.address = `${this.host}:${this.port}`;
    this.url = `http://${this.address}`;
    this.node = `node-${this.port}`;
    this.token = options.acl ? randomUUID() : undefined;
    this.#binary = binary;
    this.#options = options;
  }

  /** Runs the `consul` command against this server to its end; with the management token, if there is one. */
  cli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.#binary.file, args, { ...options, env: { ...this.#clientEnv(), ...options.env } });
  }

  /** Starts the `consul` command against this server, with pipes; for commands that stay, such as `lock`. */
  spawnCli(args: readonly string[]): ChildProcess {
    return spawnChild(this.#binary.file, args, { env: this.#clientEnv() });
  }

  /** One request; with the management token, if there is one and `headers` has no `x-consul-token`. */
  http(
    method: string,
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpResponse> {
    return httpRequest(this.address, path, {
      method,
      headers: { ...(this.token !== undefined && { 'x-consul-token': this.token }), ...headers },
      ...(body !== undefined && { body }),
    });
  }

  /**
   * The index of the last committed entry of the raft log, so a difference is the number of writes. It is the commit
   * index and not the applied one, as the server does not promise to count a write as applied before it answers.
   * A leader writes one entry of its own a minute, the barrier of its reconciliation.
   */
  async raftIndex(): Promise<number> {
    const { status, body } = await this.http('GET', '/v1/agent/self');
    if (status !== 200) throw new Error(`Consul answered ${status}: ${body}`);
    const self = JSON.parse(body) as { Stats: { raft: { commit_index: string } } };
    return Number(self.Stats.raft.commit_index);
  }

  protected override command(): Command {
    const config = this.#write('config.json', JSON.stringify(this.#config()));
    const more = this.#write('more.json', JSON.stringify(this.#options.config ?? {}));
    const hcl = this.#write('more.hcl', this.#options.hcl ?? '');
    return {
      file: this.#binary.file,
      args: ['agent', ...this.#mode(), ...[config, more, hcl].map((file) => `-config-file=${file}`)],
    };
  }

  #mode(): string[] {
    const { agentOf, persistent } = this.#options;
    const data = `-data-dir=${join(this.folder, 'data')}`;
    if (agentOf !== undefined) return [data, `-retry-join=${agentOf.host}:${agentOf.ports[1]}`];
    return persistent ? ['-server', '-bootstrap-expect=1', data] : ['-dev'];
  }

  /**
   * The check that sessions depend on passes, the agent has written all about its node, and a write goes through the
   * log. That write is a check-and-set that cannot succeed, so it leaves nothing behind.
   */
  protected override async isReady(): Promise<boolean> {
    const registered = await this.http('GET', `/v1/catalog/node/${this.node}?consistent`);
    if (registered.status !== 200 || JSON.parse(registered.body) === null) return false;
    const { status, body } = await this.http('GET', '/v1/health/service/consul?consistent');
    if (status !== 200) return false;
    const [self] = JSON.parse(body) as SelfEntry[];
    // The leader registers the node, and the agent fills in its addresses later by another write.
    if (self === undefined || self.Node.TaggedAddresses === null) return false;
    if (!self.Checks.some((check) => check.CheckID === 'serfHealth' && check.Status === 'passing'))
      return false;
    const write = await this.http('PUT', '/v1/kv/holdfast-harness-ready?cas=1', '');
    return write.status === 200;
  }

  #config(): Record<string, unknown> {
    const [http, serfLan, serfWan, server] = this.ports;
    const { sessionTtlMin, limits } = this.#options;
    return {
      node_name: this.node,
      bind_addr: this.host,
      client_addr: this.host,
      ports: {
        ...{ http, serf_lan: serfLan, serf_wan: serfWan, server, https: -1, dns: -1, grpc: -1 },
        ...(isAtLeast(this.#binary.version, 1, 14) && { grpc_tls: -1 }),
      },
      performance: { raft_multiplier: 1 },
      log_level: 'INFO',
      disable_update_check: true,
      // Both write to the raft log on their own, which would spoil counting.
      disable_coordinates: true,
      connect: { enabled: false },
      ...(sessionTtlMin !== undefined && { session_ttl_min: sessionTtlMin }),
      ...(limits?.httpMaxConnsPerClient !== undefined && {
        limits: { http_max_conns_per_client: limits.httpMaxConnsPerClient },
      }),
      ...(this.token !== undefined && { acl: this.#acl(this.token) }),
    };
  }

  #acl(token: string): Record<string, unknown> {
    const management = isAtLeast(this.#binary.version, 1, 11) ? 'initial_management' : 'master';
    return {
      enabled: true,
      default_policy: 'deny',
      // The agent needs a token itself, or it cannot register its node.
      tokens: { [management]: token, agent: token },
    };
  }

  #clientEnv(): Record<string, string> {
    return { CONSUL_HTTP_ADDR: this.url, CONSUL_HTTP_TOKEN: this.token ?? '' };
  }

  #write(name: string, content: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, content);
    return file;
  }
}

/** Starts one Consul and waits until it is ready. */
export async function startConsul(options: ConsulOptions = {}): Promise<ConsulServer> {
  const file = await locateBinary('consul');
  const { stdout: version } = await run(file, ['version']);
  return retryInUse(async () =>
    new ConsulServer({ file, version }, options, await reservePorts(PORTS)).start(),
  );
}
