import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SyncManager } from 'holdfast';
import { LeasePool } from 'holdfast/leases';
import { connectTo, type Store } from '../real/stores.ts';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import type { Line } from './worker-fixture.ts';

const fixture = fileURLToPath(new URL('./worker-fixture.ts', import.meta.url));

export interface WorkforceOptions {
  readonly store: Store;
  readonly address: string;
  readonly pool: string;
  readonly ttl: number;
  readonly lockDelay: number;
  readonly items: number;
  /** In each process. */
  readonly workers: number;
}

/** An item whose worker was ended, until it is in work again. */
interface Orphan {
  readonly since: number;
  readonly how: NodeJS.Signals;
}

/**
 * Processes that work on a pool of items, may be killed at any moment, and are held to what they said: no position is noted twice,
 * none goes back, and none that was confirmed is lost.
 */
export class Workforce implements AsyncDisposable {
  readonly pool: LeasePool<null, number>;
  readonly #options: WorkforceOptions;
  readonly #sync: SyncManager;
  readonly #processes = new Set<Process>();
  /** Of each item: who has noted what, by the position. */
  readonly #noted = new Map<string, Map<number, bigint>>();
  readonly #orphans = new Map<string, Orphan>();
  /** Milliseconds from the signal to the item in work again. */
  readonly gaps: { readonly how: NodeJS.Signals; readonly ms: number }[] = [];
  readonly faults: string[] = [];

  constructor(options: WorkforceOptions) {
    this.#options = options;
    const { store, address, pool } = options;
    this.#sync = new SyncManager({ name: 'overseer', backend: connectTo(store, address) });
    this.pool = new LeasePool<null, number>(this.#sync, { prefix: pool });
  }

  async fill(): Promise<void> {
    const { items } = this.#options;
    await this.pool.addAll(Array.from({ length: items }, (_, n) => ({ id: String(n), attributes: null })));
  }

  get size(): number {
    return this.#processes.size;
  }

  /** How many items are in work now, as far as was said. */
  get inWork(): number {
    return new Set([...this.#processes].flatMap(({ items }) => [...items])).size;
  }

  async hire(): Promise<void> {
    const { store, address, pool, ttl, lockDelay, workers } = this.#options;
    const args = [store, address, pool, ttl, lockDelay, workers].map(String);
    const child = spawnChild(process.execPath, [program(fixture), ...args], {
      stdio: ['ignore', 'pipe', 2],
    });
    const worker: Process = { child, items: new Set() };
    if (child.stdout === null) throw new Error('no output');
    const lines = createInterface({ input: child.stdout });
    const ready = once(lines, 'line');
    lines.on('line', (line) => this.#heard(worker, JSON.parse(line) as Line));
    await ready;
    this.#processes.add(worker);
  }

  /** Ends the one that came first, and counts until its items are in work again. */
  end(how: 'SIGKILL' | 'SIGTERM'): void {
    const [worker] = this.#processes;
    if (worker === undefined) return;
    this.#processes.delete(worker);
    worker.child.kill(how);
    for (const id of worker.items) this.#orphans.set(id, { since: performance.now(), how });
  }

  /** Stops one for so long, and lets it go on. */
  async freeze(ms: number): Promise<void> {
    const worker = [...this.#processes].at(-1);
    worker?.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, ms));
    worker?.child.kill('SIGCONT');
  }

  /** What was said must be so, at the store too. */
  async check(): Promise<void> {
    assert.deepEqual(this.faults, []);
    // What is noted while they are listed may not be there yet.
    const latest = new Map([...this.#noted].map(([id, noted]) => [id, Math.max(0, ...noted.keys())]));
    for (const { id, position = 0 } of await this.pool.list()) {
      const most = latest.get(id) ?? 0;
      assert(position >= most, `item ${id} is at ${position}, and ${most} had been noted`);
    }
  }

  get confirmed(): number {
    return [...this.#noted.values()].reduce((sum, { size }) => sum + size, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#processes) child.kill('SIGKILL');
    await this.#sync.stop();
  }

  #heard(worker: Process, { what, id, at, token }: Line): void {
    if (what === 'ready') return;
    const noted = this.#noted.get(id) ?? new Map<number, bigint>();
    this.#noted.set(id, noted);
    if (what === 'began') {
      for (const other of this.#processes) other.items.delete(id);
      worker.items.add(id);
      const orphan = this.#orphans.get(id);
      this.#orphans.delete(id);
      if (orphan !== undefined) this.gaps.push({ how: orphan.how, ms: performance.now() - orphan.since });
      return;
    }
    if (noted.has(at)) this.faults.push(`item ${id}: position ${at} was noted twice`);
    noted.set(at, BigInt(token));
    const before = noted.get(at - 1);
    const after = noted.get(at + 1);
    if (before !== undefined && before > BigInt(token))
      this.faults.push(`item ${id}: a smaller token at ${at}`);
    if (after !== undefined && after < BigInt(token)) this.faults.push(`item ${id}: a larger token at ${at}`);
  }
}

interface Process {
  readonly child: ChildProcess;
  readonly items: Set<string>;
}
