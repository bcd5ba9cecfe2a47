import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { EtcdServer } from '../servers/etcd.ts';
import type { Cluster } from '../soak/cluster.ts';

interface Link {
  readonly to: EtcdServer;
  /** Known once the first request says who sent it. */
  from: EtcdServer | undefined;
  readonly sockets: readonly [client: Socket, server: Socket];
}

/**
 * What lies between the members of a cluster, so that one can be cut off from the others and still serve its clients.
 * Every member tells in its requests who it is. What is sent while it is cut off is held, as by TCP.
 */
export class PeerNetwork implements AsyncDisposable {
  readonly #listeners: Server[] = [];
  readonly #links = new Set<Link>();
  readonly #ids = new Map<string, EtcdServer>();
  #isolated: EtcdServer | undefined;

  /** Restarts the members one after the other, for them to use it. */
  static async between({ members }: Cluster): Promise<PeerNetwork> {
    const network = new PeerNetwork();
    const [first] = members as [EtcdServer];
    const { stdout } = await first.etcdctl(['member', 'list']);
    for (const line of stdout.trim().split('\n')) {
      const [id, , , url] = line.split(', ') as [string, string, string, string];
      const member = members.find(({ ports }) => url.endsWith(`:${ports[1]}`)) as EtcdServer;
      network.#ids.set(id, member);
      const address = await network.#listen(member);
      const { code, stderr } = await first.etcdctl(['member', 'update', id, `--peer-urls=http://${address}`]);
      if (code !== 0) throw new Error(stderr);
    }
    for (const member of members) await member.restart();
    return network;
  }

  isolate(member: EtcdServer): void {
    this.#isolated = member;
    for (const link of this.#links) this.#apply(link);
  }

  heal(): void {
    this.#isolated = undefined;
    for (const link of this.#links) this.#apply(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sockets } of this.#links) for (const socket of sockets) socket.destroy();
    await Promise.all(this.#listeners.map((listener) => once(listener.close(), 'close')));
  }

  async #listen(member: EtcdServer): Promise<string> {
    const listener = createServer((client) => this.#join(client, member)).listen(0, '127.0.0.1');
    this.#listeners.push(listener);
    await once(listener, 'listening');
    return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  #join(client: Socket, to: EtcdServer): void {
    const server = connect(to.ports[1] as number, '127.0.0.1');
    const link: Link = { to, from: undefined, sockets: [client, server] };
    this.#links.add(link);
    client.on('data', (bytes) => {
      const [, id = ''] = /^x-server-from: ([0-9a-f]+)/im.exec(bytes.toString('latin1')) ?? [];
      link.from ??= this.#ids.get(id);
      // Whoever does not say who it is may be the one that is cut off.
      if (this.#isCut(link) || (this.#isolated !== undefined && link.from === undefined)) {
        client.pause();
        client.unshift(bytes);
      } else {
        server.write(bytes);
      }
    });
    server.on('data', (bytes) => client.write(bytes));
    for (const socket of link.sockets) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#links.delete(link);
        for (const each of link.sockets) each.destroy();
      });
    }
    this.#apply(link);
  }

  #isCut({ from, to }: Link): boolean {
    return this.#isolated !== undefined && (from === this.#isolated || to === this.#isolated);
  }

  #apply(link: Link): void {
    for (const socket of link.sockets) this.#isCut(link) ? socket.pause() : socket.resume();
  }
}
