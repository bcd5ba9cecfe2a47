import { setTimeout as delay } from 'node:timers/promises';
import type { Report } from './replica.ts';
import { type Replica, startReplica } from './replicas.ts';
import type { Store, StoreName } from './stores.ts';
import { say } from './timeline.ts';

export interface Leader {
  readonly replica: number;
  readonly token: bigint;
  readonly since: number;
}

/** The replicas of one run, and what they told so far. */
export class Election {
  /** Every increment that was acknowledged: the value written, and the token of the grant. */
  readonly increments: { readonly value: number; readonly token: bigint }[] = [];
  readonly #store: Store;
  readonly #name: StoreName;
  readonly #run: string;
  readonly #replicas = new Map<number, Replica>();
  readonly #sessions = new Map<number, string>();
  readonly #gone = new Set<number>();
  #leader: Leader | undefined;
  #stirred = performance.now();

  constructor(store: Store, name: StoreName, run: string) {
    this.#store = store;
    this.#name = name;
    this.#run = run;
  }

  start(number: number): void {
    const onReport = (replica: number, report: Report) => this.#hear(replica, report);
    this.#replicas.set(number, startReplica(this.#store, this.#name, this.#run, number, onReport));
  }

  async leader(): Promise<Leader> {
    return await this.#until(() => this.#leader);
  }

  async leaderAfter(earlier: Leader): Promise<Leader> {
    return await this.#until(() =>
      this.#leader && this.#leader.token > earlier.token ? this.#leader : undefined,
    );
  }

  /** Resolves when so many more increments were acknowledged. */
  async counted(more: number): Promise<void> {
    const goal = this.increments.length + more;
    await this.#until(() => (this.increments.length >= goal ? true : undefined));
  }

  vanish(number: number): void {
    this.#gone.add(number);
    this.#stirred = performance.now();
    this.#replicas.get(number)?.vanish();
  }

  async endSession(number: number): Promise<void> {
    await using operator = this.#store.connect();
    this.#stirred = performance.now();
    await operator.closeSession(this.#sessions.get(number) ?? '', AbortSignal.timeout(5_000));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.stop()));
  }

  #hear(replica: number, report: Report): void {
    switch (report.type) {
      case 'counted':
        this.increments.push({ value: report.value, token: BigInt(report.token) });
        return;
      case 'session':
        this.#sessions.set(replica, report.id);
        return;
      case 'leading': {
        const token = BigInt(report.token);
        const after = Math.round(performance.now() - this.#stirred);
        say(`replica ${replica} leads, token ${token}${this.#leader ? ` (${after} ms later)` : ''}`);
        this.#leader = { replica, token, since: performance.now() };
        return;
      }
      case 'leadership-lost': {
        const after = Math.round(performance.now() - this.#stirred);
        say(`replica ${replica} was told of the loss: ${report.reason} (${after} ms later)`);
        return;
      }
      case 'trouble':
        if (!this.#gone.has(replica)) say(`replica ${replica}: ${report.message}`);
    }
  }

  async #until<T>(probe: () => T | undefined): Promise<T> {
    for (;;) {
      const found = probe();
      if (found !== undefined) return found;
      await delay(5);
    }
  }
}
