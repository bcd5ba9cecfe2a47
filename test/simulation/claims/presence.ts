import type { StoredRecord } from 'holdfast';
import type { Subscription } from 'rxjs';
import { sleep } from '../../../src/async/sleep.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';

/** Below which every process says that it is there. */
export const MEMBERS = 'members/';

/** Milliseconds after the harm by which everything has arrived that was held back. */
const ARRIVED = 1_500;
/** Milliseconds for which a request without an answer may be held back. */
const LATEST = 3_000;

/** What a process knows of one record of its own. */
type Known = { readonly is: 'there'; readonly value: string } | { readonly is: 'away' | 'unknown' };

/** A process that says that it is there, for as long as its session lives: by a record that is kept, and by one that is not. */
export class Presence {
  readonly #world: World;
  readonly #process: Process;
  readonly #known = new Map<string, Known>();
  /** When a commit had no answer last that may come late, and write over what came after it. */
  readonly #unknownAt = new Map<string, number>();
  /** How often one was lost. */
  #losses = 0;
  #settled = false;
  #watching: Subscription;
  /** As the process sees all of them. */
  #view: readonly StoredRecord[] | undefined;

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
    const { sync, name } = process;
    for (const kind of ['kept', 'plain']) this.#known.set(`${MEMBERS}${name}/${kind}`, { is: 'away' });
    sync.events$.subscribe((event) => {
      if (event.type !== 'record-lost') return;
      this.#losses += 1;
      if (!event.kept) this.#known.set(event.key, { is: 'away' });
    });
    this.#watching = this.#watch();
  }

  /** Once, after a while. When all is well, until it is known how things are. */
  async work(): Promise<void> {
    const world = this.#world;
    const { clock, stopping } = this.#process;
    await sleep(clock, world.between(20, 600), stopping.signal);
    if (world.well && !this.#settled) {
      if (world.clock.now() < world.harm + ARRIVED) return;
      this.#settled = true;
      // A look whose request was lost is made up for after a minute, which nobody waits for here.
      this.#watching.unsubscribe();
      this.#watching = this.#watch();
      for (const key of this.#known.keys()) if (this.#isUnsure(key)) await this.#change(key);
    }
    for (const [key, known] of this.#known) {
      if (world.well ? known.is === 'unknown' : world.chance(0.5)) await this.#change(key);
    }
  }

  /** What is not as it has to be in the end, when nobody has interfered. */
  get missing(): string | undefined {
    const { store } = this.#world;
    const { name } = this.#process;
    const live = new Set(store.sessions().map(({ id }) => id));
    const all = store.records(MEMBERS);
    if (!this.#settled) return `${name} has something to write yet`;
    for (const [key, known] of this.#known) {
      const record = all.find((other) => other.key === key);
      if (known.is === 'unknown') return `${key} is not known`;
      if (known.is === 'away' && record !== undefined) return `${key} is there again`;
      if (known.is !== 'there') continue;
      if (record?.session === undefined || !live.has(record.session)) return `${key} is missing`;
      if (Buffer.from(record.value).toString() !== known.value) return `${key} is not what was written last`;
    }
    return sameRecords(this.#view, all) ? undefined : `${name} does not see who is there`;
  }

  #watch(): Subscription {
    return this.#process.sync.watch({ prefix: MEMBERS }).subscribe((records) => {
      this.#view = records;
    });
  }

  /** What is not kept is written once more, so that there is something to see. */
  #isUnsure(key: string): boolean {
    return !key.endsWith('kept') || this.#unknownAt.has(key);
  }

  async #change(key: string): Promise<void> {
    const world = this.#world;
    const { sync } = this.#process;
    const losses = this.#losses;
    const asked = world.clock.now();
    const value = String(world.nextNumber());
    const keep = key.endsWith('kept');
    const puts = world.chance(0.7);
    this.#known.set(key, { is: 'unknown' });
    const then = puts ? ({ put: key, value, owned: true, keep } as const) : ({ remove: key } as const);
    const { signal } = this.#process.stopping;
    const { ok } = await sync.commit({ then: [then] }, { signal }).catch((error: unknown) => {
      world.note(() => `${this.#process.name} does not know of ${key}, ${value}: ${String(error)}`);
      this.#unknownAt.set(key, world.clock.now());
      throw error;
    });
    world.note(() => `${this.#process.name} ${puts ? 'puts' : 'removes'} ${key}, ${value}: ${ok}`);
    if ((this.#unknownAt.get(key) ?? 0) + LATEST < asked) this.#unknownAt.delete(key);
    if (!ok || (!keep && losses !== this.#losses)) return;
    this.#known.set(key, puts ? { is: 'there', value } : { is: 'away' });
  }
}

function sameRecords(a: readonly StoredRecord[] | undefined, b: readonly StoredRecord[]): boolean {
  const text = ({ key, revision }: StoredRecord): string => `${key} ${revision}`;
  return a !== undefined && a.map(text).join() === b.map(text).join();
}
