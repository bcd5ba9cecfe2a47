import { connect, type Socket } from 'node:net';
import { until } from '../consul/support.ts';

/** A client that remembers what it has heard. */
export class Client implements Disposable {
  readonly socket: Socket;
  heard = 0;
  text = '';
  end: 'none' | 'end' | 'reset' = 'none';

  constructor(address: string) {
    const [host, port] = address.split(':');
    this.socket = connect({ host, port: Number(port), allowHalfOpen: true })
      .on('data', (bytes) => {
        this.heard += bytes.length;
        if (this.heard < 1_000) this.text += bytes.toString();
      })
      .on('end', () => {
        this.end = 'end';
      })
      .on('error', () => {
        this.end = 'reset';
      });
  }

  async hears(text: string): Promise<void> {
    await until(`hears ${text}`, () => this.text === text);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
