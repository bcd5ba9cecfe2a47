import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { locateBinary } from './locate.ts';
import { asNobody, giveToNobody, letNobodyThrough } from './nobody.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { postgresUrl } from './postgres.ts';
import { type Command, retryInUse, ServerProcess } from './process.ts';

/** A PgBouncer in transaction mode, that lets everybody in. */
export class PgBouncer extends ServerProcess {
  /** A connection string. */
  readonly url: string;
  readonly #binary: string;

  constructor(binary: string, target: string, reservation: PortReservation) {
    super('pgbouncer', reservation);
    this.#binary = binary;
    const [host, port] = target.split(':');
    this.url = postgresUrl(`127.0.0.1:${this.ports[0]}`);
    letNobodyThrough(dirname(this.folder));
    giveToNobody(this.folder);
    const settings = [
      '[databases]',
      `postgres = host=${host} port=${port} user=postgres`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${this.ports[0]}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'max_client_conn = 500',
      'default_pool_size = 10',
    ];
    writeFileSync(this.#settings, `${settings.join('\n')}\n`);
  }

  get #settings(): string {
    return join(this.folder, 'pgbouncer.ini');
  }

  protected override command(): Command {
    return asNobody(this.#binary, [this.#settings]);
  }

  protected override isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.ports[0] ?? 0, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', reject);
    });
  }
}

/** @param target `host:port` of the Postgres behind it. */
export async function startPgBouncer(target: string): Promise<PgBouncer> {
  const binary = await locateBinary('pgbouncer');
  return retryInUse(async () => new PgBouncer(binary, target, await reservePorts(1)).start());
}
