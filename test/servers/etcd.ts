import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { spawnChild } from './child.ts';
import { httpRequest } from './http.ts';
import { locateBinary } from './locate.ts';
import { sumMetric } from './metrics.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { type Command, retryInUse, ServerProcess } from './process.ts';
import { type RunOptions, type RunResult, run } from './run.ts';
import { isAtLeast } from './version.ts';

/** Files in PEM format. The server's certificate also serves `etcdctl` as its client certificate. */
export interface EtcdTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  /** Whether clients have to show a certificate. */
  readonly clientCertAuth?: boolean;
}

export interface EtcdOptions {
  /** Appended to the server's arguments; a repeated flag overrides. */
  readonly args?: readonly string[];
  readonly tls?: EtcdTls;
  /** Do not wait for the disk; the default, as tests want speed. Has no effect before etcd 3.5. */
  readonly unsafeNoFsync?: boolean;
}

interface Binaries {
  readonly etcd: string;
  readonly etcdctl: string;
  readonly canSkipFsync: boolean;
}

interface Membership {
  readonly name: string;
  /** In the form of `--initial-cluster`. */
  readonly cluster: string;
}

const PORTS = 3;

/** A running etcd, alone or as a member of a cluster. */
export class EtcdServer extends ServerProcess {
  /** Of the client port, as `host:port`. */
  readonly address: string;
  readonly url: string;
  readonly dataDir: string;
  readonly #binaries: Binaries;
  readonly #options: EtcdOptions;
  readonly #membership: Membership;

  constructor(
    binaries: Binaries,
    options: EtcdOptions,
    reservation: PortReservation,
    membership: Membership,
  ) {
    super('etcd', reservation);
    this.address = `127.0.0.1:${this.ports[0]}`;
    this.url = `${options.tls ? 'https' : 'http'}://${this.address}`;
    this.dataDir = join(this.folder, 'data');
    this.#binaries = binaries;
    this.#options = options;
    this.#membership = membership;
  }

  /** Runs `etcdctl` against this server to its end. */
  etcdctl(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.#binaries.etcdctl, [...this.#clientFlags(), ...args], {
      ...options,
      env: { ETCDCTL_API: '3', ...options.env },
    });
  }

  /** Starts `etcdctl` against this server, with pipes; for commands that stay, such as `lock`. */
  spawnEtcdctl(args: readonly string[]): ChildProcess {
    return spawnChild(this.#binaries.etcdctl, [...this.#clientFlags(), ...args], {
      env: { ETCDCTL_API: '3' },
    });
  }

  /** The sum of the series of this name that have these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { body } = await httpRequest(this.#metricsAddress, '/metrics');
    return sumMetric(body, name, labels);
  }

  /** How many entries the cluster has put through consensus, as this member knows. Reads do not count. */
  proposalsCommitted(): Promise<number> {
    return this.metric('etcd_server_proposals_committed_total');
  }

  protected override command(): Command {
    const peerUrl = peerUrlOf(this.ports);
    const { tls, unsafeNoFsync = true, args = [] } = this.#options;
    return {
      file: this.#binaries.etcd,
      args: [
        `--name=${this.#membership.name}`,
        `--data-dir=${this.dataDir}`,
        `--listen-client-urls=${this.url}`,
        `--advertise-client-urls=${this.url}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=${this.#membership.cluster}`,
        // Plain HTTP for health and metrics, whatever the clients have to use.
        `--listen-metrics-urls=http://${this.#metricsAddress}`,
        ...(tls
          ? [
              `--cert-file=${tls.certFile}`,
              `--key-file=${tls.keyFile}`,
              `--trusted-ca-file=${tls.trustedCaFile}`,
              `--client-cert-auth=${tls.clientCertAuth ?? false}`,
            ]
          : []),
        ...(unsafeNoFsync && this.#binaries.canSkipFsync ? ['--unsafe-no-fsync'] : []),
        ...args,
      ],
    };
  }

  /** The health check does a linearizable read, so there is a leader and the cluster answers. */
  protected override async isReady(): Promise<boolean> {
    const { status, body } = await httpRequest(this.#metricsAddress, '/health', { timeout: 2_000 });
    return status === 200 && /"health"\s*:\s*"true"/.test(body);
  }

  get #metricsAddress(): string {
    return `127.0.0.1:${this.ports[2]}`;
  }

  #clientFlags(): string[] {
    const { tls } = this.#options;
    if (tls === undefined) return [`--endpoints=${this.url}`];
    return [
      `--endpoints=${this.url}`,
      `--cacert=${tls.trustedCaFile}`,
      `--cert=${tls.certFile}`,
      `--key=${tls.keyFile}`,
    ];
  }
}

/** Starts one etcd and waits until it is ready. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  const [server] = await startEtcdCluster(1, options);
  if (server === undefined) throw new Error('A cluster of one has a member.');
  return server;
}

/** Starts a cluster and waits until every member is ready. */
export async function startEtcdCluster(size: number, options: EtcdOptions = {}): Promise<EtcdServer[]> {
  const binaries = await locateBinaries();
  return retryInUse(async () => {
    const reservations = await Promise.all(Array.from({ length: size }, () => reservePorts(PORTS)));
    const cluster = reservations.map(({ ports }, index) => `member${index}=${peerUrlOf(ports)}`).join(',');
    const members = reservations.map(
      (reservation, index) =>
        new EtcdServer(binaries, options, reservation, { name: `member${index}`, cluster }),
    );
    const starts = await Promise.allSettled(members.map((member) => member.start()));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed === undefined) return members;
    await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
    throw failed.reason;
  });
}

async function locateBinaries(): Promise<Binaries> {
  const [etcd, etcdctl] = await Promise.all([locateBinary('etcd'), locateBinary('etcdctl')]);
  const { stdout } = await run(etcd, ['--version']);
  return { etcd, etcdctl, canSkipFsync: isAtLeast(stdout, 3, 5) };
}

function peerUrlOf(ports: readonly number[]): string {
  return `http://127.0.0.1:${ports[1]}`;
}
