import type { Commit, Grant } from 'holdfast';
import { sleep } from '../../../src/async/sleep.ts';
import { Callers } from '../callers.ts';
import type { Process } from '../process.ts';
import type { System, Workload } from '../system.ts';
import type { World } from '../world.ts';

/** Every process counts up, each time under the lock: no number may be given to two grants. */
class Counting implements Workload {
  readonly #world: World;
  readonly #callers: Callers;
  /** Which grant was given which number, as the store has accepted it. */
  readonly #given = new Map<string, string>();

  constructor(world: World) {
    this.#world = world;
    this.#callers = new Callers(world);
  }

  start(process: Process): void {
    const { sync, clock, stopping, name } = process;
    this.#callers.repeat(process, name, async (onTurn) => {
      await sleep(clock, this.#world.between(0, 200), stopping.signal);
      await sync.withLock('k', (grant) => count(sync, grant), { signal: stopping.signal });
      onTurn();
    });
  }

  accepted({ then }: Commit, { name }: Process): void {
    for (const { put, value } of then) {
      if (put !== 'count' || value === undefined) continue;
      const [number = '', token = ''] = Buffer.from(value).toString().split(' ');
      const before = this.#given.get(number) ?? token;
      if (before !== token) this.#world.violate('a number was given twice', `${number}: ${before}, ${token}`);
      this.#given.set(number, token);
      this.#world.note(() => `${name} counts to ${number}, token ${token}`);
    }
  }

  restored = (): void => this.#given.clear();
  hungry = (): readonly string[] => this.#callers.hungry();
  ended = (): Promise<unknown> => this.#callers.ended();
  keeps = (key: string): boolean => key === 'count';
  get turns(): number {
    return this.#callers.turns;
  }
}

async function count(sync: Process['sync'], { isOwner, token }: Grant): Promise<void> {
  const seen = await sync.commit({ read: { key: 'count' } });
  const [record] = 'read' in seen ? (seen.read ?? []) : [];
  const next = Number.parseInt(Buffer.from(record?.value ?? '0').toString(), 10) + 1;
  await sync.commit({ when: [isOwner], then: [{ put: 'count', value: `${next} ${token}` }] });
}

export const counter: System = {
  name: 'counter',
  seeds: 50,
  turns: 10,
  begin: (world) => new Counting(world),
  mutants: {
    'a write that nothing guards': [
      {
        file: 'sync/callers/guarded-commit.ts',
        in: 'guardedCommit',
        find: 'backend.commit(commit, signal)',
        put: 'backend.commit({ ...commit, when: [] }, signal)',
      },
    ],
  },
};
