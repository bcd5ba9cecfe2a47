import { sleep } from '../../../src/async/sleep.ts';
import type { Process } from '../process.ts';
import { BAD, LASTING, PASSING, POOL, type ShardPool, schema } from './pool.ts';
import type { LeaseWorkload } from './workload.ts';

/** Who adds, updates and removes items in one process, by a pool of its own that works on nothing. */
export class Operator {
  readonly #workload: LeaseWorkload;
  readonly #process: Process;
  readonly #pool: ShardPool;
  #added = false;

  constructor(workload: LeaseWorkload, process: Process) {
    this.#workload = workload;
    this.#process = process;
    this.#pool = new workload.LeasePool(process.sync, { prefix: POOL, attributes: schema });
  }

  /** Once, after a while. */
  async act(): Promise<void> {
    const { world } = this.#workload;
    const { clock, stopping } = this.#process;
    const longest = this.#added ? 800 : 50;
    await sleep(clock, world.well && this.#added ? 60_000 : world.between(0, longest), stopping.signal);
    if (!this.#added) await this.#add(LASTING);
    else if (!world.well) await this.#change();
    this.#added = true;
  }

  async #add(ids: readonly string[]): Promise<void> {
    await this.#pool.addAll(ids.map((id, stream) => ({ id, attributes: { stream } })));
  }

  async #change(): Promise<void> {
    const { world } = this.#workload;
    const id = world.pick(PASSING);
    const what = world.pick(['add', 'add', 'remove', 'replace', 'update', 'spoil'] as const);
    world.note(() => `${this.#process.name}: ${what} ${id}`);
    if (what === 'add') await this.#add([id]);
    if (what === 'remove' || what === 'replace') await this.#pool.remove(id);
    if (what === 'replace') await this.#add([id]);
    if (what === 'update') await this.#update();
    if (what === 'spoil') this.#spoil();
  }

  async #update(): Promise<void> {
    const { world } = this.#workload;
    const items = await this.#pool.list();
    if (items.length === 0) return;
    await this.#pool.update({ ...world.pick(items), attributes: { stream: world.nextNumber() } });
  }

  #spoil(): void {
    const { world } = this.#workload;
    const [key, value] = world.pick(Object.entries(BAD));
    world.store.commit({ when: [], then: [{ put: key, value: Buffer.from(value) }] });
  }
}
