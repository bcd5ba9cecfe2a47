import { type Commit, tokenOf } from 'holdfast';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import { keys, type Position } from './pool.ts';

/** One item, as the store has it. */
interface Entry {
  present: boolean;
  /** How often it was added: what was removed does not come back with it. */
  life: number;
  position: number | undefined;
  /** Of the last lease that the store has granted, and in which life. */
  token: bigint;
  readonly lives: Map<bigint, number>;
  /** Checkpoints that the store has accepted. */
  readonly accepted: Set<string>;
  /** What callers were told of checkpoints: until the store goes back, none of these is lost. */
  readonly told: { readonly token: bigint; readonly at: number; readonly life: number }[];
}

export interface LedgerHost {
  /** The store has granted an item. */
  granted(process: Process, id: string, token: bigint): void;
  /** The store has removed the record of a lease, as this process asked. */
  givenBack(process: Process, id: string, token: bigint): void;
}

/** What the store has accepted of a pool, in its order, and whether all of it may be. */
export class Ledger {
  readonly #world: World;
  readonly #host: LedgerHost;
  readonly #entries = new Map<string, Entry>();
  /** How often the store has granted an item. */
  grants = 0;

  constructor(world: World, host: LedgerHost) {
    this.#world = world;
    this.#host = host;
  }

  /** The items that are there. */
  get items(): string[] {
    return [...this.#entries].filter(([, { present }]) => present).map(([id]) => id);
  }

  has(id: string): boolean {
    return this.#of(id).present;
  }

  accepted({ then }: Commit, process: Process): void {
    // A revision that comes again says nothing.
    if (this.#world.server.restored) return;
    for (const { put, remove, value, session } of then) {
      const key = put ?? remove ?? '';
      const [, kind = '', id = ''] = /^leases\/[^/]+\/(\w+)\/(.+)$/.exec(key) ?? [];
      const entry = this.#of(id);
      if (kind === 'items') this.#changed(entry, put !== undefined);
      else if (kind === 'held' && put !== undefined && session !== undefined)
        this.#granted(process, id, entry);
      else if (kind === 'held' && remove !== undefined) this.#host.givenBack(process, id, entry.token);
      else if (kind === 'at' && value === undefined) entry.position = undefined;
      else if (kind === 'at') {
        const { position, token } = JSON.parse(Buffer.from(value as Uint8Array).toString());
        const releases = then.some((mutation) => mutation.remove === keys.held(id));
        this.#noted(
          `${process.name}: ${id}`,
          entry,
          position,
          BigInt(token),
          releases ? undefined : keys.held(id),
        );
      }
    }
  }

  /** A lease is in somebody's hands: with all that was said to be written before. */
  begun(id: string, token: bigint, position: number | undefined): void {
    if (this.#world.server.restored) return;
    const { present, lives, life, told } = this.#of(id);
    // Removed since: whoever finds out late that he has it, finds nothing there any more.
    if (!present || lives.get(token) !== life) return;
    for (const each of told) {
      if (each.token >= token || each.life !== lives.get(token) || each.at <= (position ?? 0)) continue;
      this.#world.violate(
        'a checkpoint was lost',
        `${id}: ${each.at} of ${each.token}, ${token} begins at ${position}`,
      );
    }
  }

  /** A caller was told that his checkpoint is written. */
  told(id: string, token: bigint, at: number): void {
    if (this.#world.server.restored) return;
    const { accepted, told, lives } = this.#of(id);
    if (!accepted.has(`${token} ${at}`)) {
      this.#world.violate('told that a checkpoint is written, and it is not', `${id}: ${at} of ${token}`);
    }
    told.push({ token, at, life: lives.get(token) ?? 0 });
  }

  /** A caller was told that his checkpoint is not written. */
  denied(id: string, token: bigint, at: number): void {
    if (this.#world.server.restored || !this.#of(id).accepted.has(`${token} ${at}`)) return;
    this.#world.violate('told that a checkpoint is not written, and it is', `${id}: ${at} of ${token}`);
  }

  /** A caller was told that the item was removed while he had it. */
  removed(id: string, token: bigint): void {
    const { present, life, lives } = this.#of(id);
    if (this.#world.server.restored || !present || life !== lives.get(token)) return;
    this.#world.violate('told of the removal of an item that is there', `${id}, ${token}`);
  }

  #changed(entry: Entry, present: boolean): void {
    if (present && !entry.present) entry.life += 1;
    entry.present = present;
  }

  #granted(process: Process, id: string, entry: Entry): void {
    const [record] = this.#world.store.records(keys.held(id)).filter(({ key }) => key === keys.held(id));
    const token = record === undefined ? 0n : tokenOf(record);
    if (!entry.present) this.#world.violate('an item was taken that is not there', `${process.name}: ${id}`);
    if (token <= entry.token)
      this.#world.violate('a token did not rise', `${id}: ${token} after ${entry.token}`);
    entry.token = token;
    entry.lives.set(token, entry.life);
    this.grants += 1;
    this.#host.granted(process, id, token);
  }

  /** @param held the key of the record that must stand there, unless it was removed in the same commit. */
  #noted(who: string, entry: Entry, { at }: Position, token: bigint, held: string | undefined): void {
    const isOfThisLife = entry.present && entry.lives.get(token) === entry.life;
    const stands = (key: string): boolean =>
      this.#world.store.records(key).some((record) => record.key === key && tokenOf(record) === token);
    if (token !== entry.token || (held !== undefined && !stands(held))) {
      this.#world.violate('a checkpoint by who does not hold the item', `${who}: ${at} of ${token}`);
    } else if (held === undefined && !isOfThisLife) {
      // A release is conditioned on its own record only: what it notes of an item that was removed meanwhile is not kept back yet.
      entry.position = undefined;
      entry.accepted.add(`${token} ${at}`);
      return;
    } else if (!entry.present) {
      this.#world.violate('a checkpoint of an item that was removed', `${who}: ${at} of ${token}`);
    } else if (!isOfThisLife) {
      this.#world.violate('a checkpoint of an item before it was removed', `${who}: ${at} of ${token}`);
    } else if (at < (entry.position ?? 0)) {
      this.#world.violate('a position went back', `${who}: ${at} after ${entry.position}`);
    }
    entry.position = at;
    entry.accepted.add(`${token} ${at}`);
  }

  #of(id: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const entry: Entry = {
      present: false,
      life: 0,
      position: undefined,
      token: 0n,
      lives: new Map(),
      accepted: new Set(),
      told: [],
    };
    this.#entries.set(id, entry);
    return entry;
  }
}
