import { realpath } from 'node:fs/promises';
import { TcpProxy } from 'holdfast/testing';
import { locateBinary } from './locate.ts';
import { giveToNobody } from './nobody.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { PostgresServer } from './postgres.ts';
import { retryInUse } from './process.ts';

/** A replica of a primary, which it follows over a network that can be cut. */
export class PostgresReplica extends PostgresServer {
  readonly #primary: PostgresServer;
  readonly #network: TcpProxy;

  constructor(binary: string, primary: PostgresServer, network: TcpProxy, reservation: PortReservation) {
    // It waits for so long before it looks whether it is to be promoted, once its primary is gone.
    super(binary, { settings: { wal_retrieve_retry_interval: '100ms' } }, reservation);
    this.#primary = primary;
    this.#network = network;
  }

  override async initialise(): Promise<this> {
    giveToNobody(this.folder);
    const [host, port] = this.#network.address.split(':') as [string, string];
    const from = ['-h', host, '-p', port, '-U', 'postgres'];
    const { code, stderr } = await this.program('pg_basebackup', [
      ...from,
      ...['-D', this.dataDir, '-R', '-X', 'stream', '-c', 'fast', '-N'],
    ]);
    if (code !== 0) throw new Error(`pg_basebackup failed: ${stderr.trim()}`);
    return this;
  }

  /** Whether it has all that the primary has written until now. */
  async isCaughtUp(): Promise<boolean> {
    const [written] = await this.#primary.sql('SELECT pg_current_wal_lsn() AS lsn');
    const [row] = await this.sql('SELECT pg_last_wal_replay_lsn() >= $1 AS done', [written?.lsn]);
    return row?.done === true;
  }

  /** From now on nothing comes over from the primary. */
  cutOff(): void {
    this.#network.refuse = true;
    this.#network.reset();
  }

  /** Resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.sql('SELECT pg_promote()');
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
  }
}

export async function startReplica(primary: PostgresServer): Promise<PostgresReplica> {
  const binary = await realpath(await locateBinary('postgres'));
  return retryInUse(async () => {
    const network = await TcpProxy.open(primary.address);
    const replica = new PostgresReplica(binary, primary, network, await reservePorts(1));
    return (await replica.initialise()).start() as Promise<PostgresReplica>;
  });
}
