import { appendFile, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TcpProxy } from 'holdfast/testing';
import { Client } from 'pg';
import { locateBinary } from './locate.ts';
import { asNobody, giveToNobody, letNobodyThrough } from './nobody.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { PostgresServer } from './postgres.ts';
import { retryInUse } from './process.ts';
import { run } from './run.ts';

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

  /** A copy of the primary's files, taken while it runs, as https://www.postgresql.org/docs/current/continuous-archiving.html has it. */
  override async initialise(): Promise<this> {
    letNobodyThrough(dirname(this.folder));
    giveToNobody(this.folder);
    const client = new Client({ connectionString: this.#primary.url });
    await client.connect();
    try {
      const [row] = (await client.query('SHOW server_version_num')).rows as { server_version_num: string }[];
      const old = Number(row?.server_version_num) < 150_000;
      await client.query(
        old ? "SELECT pg_start_backup('replica', true, false)" : "SELECT pg_backup_start('replica', true)",
      );
      await this.#copyFiles();
      const stopped = await client.query(
        `SELECT labelfile FROM ${old ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'}`,
      );
      await writeFile(join(this.dataDir, 'backup_label'), String(stopped.rows[0]?.labelfile));
    } finally {
      await client.end();
    }
    const [host, port] = this.#network.address.split(':');
    const conninfo = `host=${host} port=${port} user=postgres`;
    await appendFile(join(this.dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
    await writeFile(join(this.dataDir, 'standby.signal'), '');
    for (const name of ['backup_label', 'standby.signal']) giveToNobody(join(this.dataDir, name));
    return this;
  }

  /** As the user that the servers run as, who is to own them. A file that goes away meanwhile is in the log that is copied too. */
  async #copyFiles(): Promise<void> {
    const { file, args, env } = asNobody('cp', ['-a', this.#primary.dataDir, this.dataDir]);
    await run(file, args, { cwd: this.folder, timeout: 60_000, ...(env && { env }) });
    for (const name of ['postmaster.pid', 'postmaster.opts'])
      await rm(join(this.dataDir, name), { force: true });
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
