import { connect } from 'node:net';
import { librariesOf, locateBinary } from './locate.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { type Command, retryInUse, ServerProcess } from './process.ts';

/** A running Redis that keeps nothing on disk. */
export class RedisServer extends ServerProcess {
  readonly port: number;
  readonly #binary: string;

  constructor(binary: string, reservation: PortReservation) {
    super('redis', reservation);
    this.port = this.ports[0] ?? 0;
    this.#binary = binary;
  }

  protected override command(): Command {
    const settings = { port: this.port, bind: '127.0.0.1', dir: this.folder, appendonly: 'no' };
    return {
      file: this.#binary,
      args: [
        ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
        '--save',
        '',
      ],
      env: librariesOf(this.#binary),
    };
  }

  protected override isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.setTimeout(1_000, () => socket.destroy(new Error('silent')));
      socket.once('data', (data) => {
        socket.end();
        resolve(data.toString().startsWith('+PONG'));
      });
      socket.once('error', reject);
    });
  }
}

export async function startRedis(): Promise<RedisServer> {
  const binary = await locateBinary('redis-server');
  return retryInUse(async () => new RedisServer(binary, await reservePorts(1)).start());
}
