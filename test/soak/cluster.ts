import { type EtcdOptions, type EtcdServer, startEtcdCluster } from '../servers/etcd.ts';

/** An etcd cluster that ends with its scope. */
export class Cluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];

  private constructor(members: readonly EtcdServer[]) {
    this.members = members;
  }

  static async start(size = 3, options: EtcdOptions = {}): Promise<Cluster> {
    return new Cluster(await startEtcdCluster(size, options));
  }

  get addresses(): string[] {
    return this.members.map(({ address }) => address);
  }

  others(member: EtcdServer): EtcdServer[] {
    return this.members.filter((other) => other !== member);
  }

  /** The one of these that says it leads, as soon as there is one. A member that is stopped must not be among them. */
  async leader(among = this.members, bound = 20_000): Promise<EtcdServer> {
    const end = performance.now() + bound;
    for (;;) {
      const leads = await Promise.all(
        among.map((member) => member.metric('etcd_server_is_leader').catch(() => 0)),
      );
      const leader = among[leads.indexOf(1)];
      if (leader !== undefined) return leader;
      if (performance.now() > end) throw new Error(`no leader within ${bound} ms`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}
