import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import type { Member } from './member.ts';
import { isBad, keys, LASTING } from './pool.ts';
import type { Run } from './run.ts';

/** Milliseconds for which nothing may have moved before shares are taken for settled. */
const STEADY = 2_100;

/** Milliseconds between two looks at who lacks what. */
const OFTEN = 20;

/** How the items are shared when all is well: who lacks what, and whether anything moves that could stay. */
export class Shares {
  readonly #world: World;
  readonly #even: boolean;
  /** Items that were in work since all is well. */
  readonly #worked = new Set<string>();
  #lacking: readonly string[] = ['nobody has looked'];
  #movedAt = 0;
  #reckonedAt = 0;

  constructor(world: World, even: boolean) {
    this.#world = world;
    this.#even = even;
  }

  /** Who, or what, has not got what it wants. */
  get lacking(): readonly string[] {
    return this.#lacking;
  }

  granted(process: Process, id: string): void {
    const { clock, healed, mayOperate, server } = this.#world;
    this.#movedAt = clock.now();
    if (this.#even && healed && !process.dead && !mayOperate && !server.restored) {
      this.#world.violate('an item moved although all had their shares', `${process.name}: ${id}`);
    }
  }

  look(members: readonly Member[], believers: readonly Run[]): void {
    // When all had what they want, what operators do is not theirs to mend before the run ends.
    if (this.#world.healed) return;
    for (const { lease } of believers) this.#worked.add(lease.id);
    const now = this.#world.clock.now();
    if (now < this.#reckonedAt + OFTEN) return;
    this.#reckonedAt = now;
    this.#lacking = this.#reckon(members, believers);
  }

  #reckon(members: readonly Member[], believers: readonly Run[]): string[] {
    // Who has noticed that the store went back gets nothing any more.
    if (members.every(({ process }) => process.noticed)) return [];
    if (this.#world.server.restored && members.some(({ process }) => process.noticed)) return [];
    const items = this.#items;
    const missing = LASTING.filter((id) => !items.includes(id));
    if (!this.#world.server.restored && missing.length > 0)
      return missing.map((id) => `item ${id} is not there`);
    if (!this.#even)
      return items.filter((id) => !this.#worked.has(id)).map((id) => `item ${id} is not worked on`);
    const counts = members.map((member) => ({
      member,
      count: believers.filter(({ process }) => process === member.process).length,
    }));
    const lacking = [...this.#unseen(members), ...this.#uneven(counts, items.length)];
    const settled = this.#movedAt + STEADY;
    if (lacking.length === 0 && this.#world.clock.now() < settled) return ['items moved just now'];
    return lacking;
  }

  /** As they stand at the store, whoever has put them there. */
  get #items(): string[] {
    const records = this.#world.store.records(keys.item(''));
    return records.filter(({ key }) => !isBad(key)).map(({ key }) => key.slice(keys.item('').length));
  }

  *#unseen(members: readonly Member[]): Generator<string> {
    for (const { pool, process } of members) {
      if (pool === undefined) yield `${process.name} has no pool`;
      else {
        const key = keys.worker(pool.member);
        if (!this.#world.store.records(key).some(({ session }) => session !== undefined))
          yield `${process.name} is not seen`;
      }
    }
  }

  *#uneven(
    counts: readonly { readonly member: Member; readonly count: number }[],
    items: number,
  ): Generator<string> {
    const capacity = counts.reduce((sum, { member }) => sum + member.maxItems, 0);
    const held = counts.reduce((sum, { count }) => sum + count, 0);
    if (held !== Math.min(items, capacity)) yield `${held} of ${items} items are in work`;
    for (const { member, count } of counts)
      if (count > member.maxItems) yield `${member.process.name} has ${count}`;
    const weights = new Set(counts.map(({ member }) => member.weight));
    const room = counts.filter(({ member, count }) => count < member.maxItems);
    const least = Math.min(...room.map(({ count }) => count));
    if (weights.size === 1 && counts.some(({ count }) => count - 1 > least))
      yield `somebody has ${least}, and others more`;
    if (room.length < counts.length) return;
    const weight = counts.reduce((sum, { member }) => sum + member.weight, 0);
    for (const { member, count } of counts) {
      const share = (items * member.weight) / weight;
      if (count < Math.floor(share) || count > Math.ceil(share))
        yield `${member.process.name} has ${count}, not ${share}`;
    }
  }
}
