import { refused } from '../contract/errors.ts';
import { invalid } from '../contract/options.ts';
import type { JsonValue, SyncError, SyncManager } from '../index.ts';
import type { AttributesCheck } from './attributes.ts';
import { positionIn } from './lease.ts';
import { decode, encode, type Layout } from './records.ts';
import { type Item, readHolders, readItems } from './snapshot.ts';

export interface NewItem<A> {
  readonly id: string;
  readonly attributes: A;
}

/** An item with who has it, and how far the work on it has come. */
export interface ListedItem<A, P> extends Item<A> {
  readonly position: P | undefined;
  readonly holder: { readonly lesseeId: string; readonly token: bigint; readonly since: number } | undefined;
}

export interface ItemsHost<A> {
  readonly sync: SyncManager;
  readonly layout: Layout;
  readonly limit: number;
  readonly check: AttributesCheck<A>;
}

/** How many items a pool has is looked at again after so many were added, and after so many milliseconds. */
const COUNT_AFTER = 100;
const COUNT_EVERY = 1_000;

/** The items of a pool, as its operators change them. They outlive their leases. */
export class Items<A, P> {
  readonly #host: ItemsHost<A>;
  #count = Number.POSITIVE_INFINITY;
  #countedAt = Number.NEGATIVE_INFINITY;
  #addedSince = 0;

  constructor(host: ItemsHost<A>) {
    this.#host = host;
  }

  /** Resolves to how many of them were new. */
  async add(items: readonly NewItem<A>[]): Promise<number> {
    const checked = items.map((item) => this.#checked(item));
    if (new Set(checked.map(({ id }) => id)).size < checked.length)
      throw invalid('items', 'must not have an id twice');
    if (checked.length === 0) return 0;
    await this.#assertRoom(checked.length);
    const { sync } = this.#host;
    // Absent, put, and what an item of this name may have left behind.
    const most = Math.max(1, Math.floor(sync.traits.maxOperations / 3));
    const groups: NewItem<A>[][] = [];
    for (let at = 0; at < checked.length; at += most) groups.push(checked.slice(at, at + most));
    const added = await Promise.all(groups.map((group) => this.#addGroup(group)));
    return added.reduce((sum, count) => sum + count, 0);
  }

  /** Resolves to the item as it is now; to nothing if it is not there, or was changed since that revision. */
  async update({ id, attributes, revision }: Omit<Item<A>, 'created'>): Promise<Item<A> | undefined> {
    this.#checked({ id, attributes });
    if (typeof revision !== 'bigint')
      throw invalid('revision', 'must be the revision of the item as it was read');
    const { sync, layout } = this.#host;
    const key = layout.item(id);
    const [record] = (await sync.query({ key })).records;
    if (record === undefined || record.revision !== revision) return undefined;
    const fields = decode(record);
    // What another version has written besides stays.
    if (typeof fields === 'string') throw foreign(id, fields);
    const value = encode({ ...fields, attributes: attributes as unknown as JsonValue });
    const result = await sync.commit({ when: [{ key, revision }], then: [{ put: key, value }] });
    return result.ok ? { id, attributes, revision: result.revision, created: record.created } : undefined;
  }

  /** Resolves to whether it was there. Who holds it is told. */
  async remove(id: string): Promise<boolean> {
    const { sync, layout } = this.#host;
    const key = layout.item(id);
    for (;;) {
      const [record] = (await sync.query({ key })).records;
      if (record === undefined) return false;
      const { ok } = await sync.commit({
        when: [{ key, revision: record.revision }],
        then: [{ remove: key }, { remove: layout.position(id) }],
      });
      if (ok) return true;
    }
  }

  /** All of them, by one read. What is malformed is left out. */
  async list(): Promise<ListedItem<A, P>[]> {
    const { sync, layout, check } = this.#host;
    const { records } = await sync.query({ prefix: layout.root });
    const items = readItems(records, layout.items, check).found;
    const holders = readHolders(records, layout.holders).found;
    const positions = new Map(records.map((record) => [record.key, record]));
    return [...items.values()].map((item) => {
      const holder = holders.get(item.id);
      return {
        ...item,
        position: positionIn<P>(positions.get(layout.position(item.id))).value,
        holder: holder && { lesseeId: holder.lesseeId, token: holder.token, since: holder.since },
      };
    });
  }

  async #addGroup(group: readonly NewItem<A>[]): Promise<number> {
    const { sync, layout } = this.#host;
    let left = group;
    while (left.length > 0) {
      const { ok } = await sync.commit({
        when: left.map(({ id }) => ({ key: layout.item(id), is: 'absent' as const })),
        then: left.flatMap(({ id, attributes }) => [
          { put: layout.item(id), value: encode({ attributes }) },
          { remove: layout.position(id) },
        ]),
      });
      if (ok) return left.length;
      const { records } = await sync.query({ prefix: layout.items });
      const there = new Set(records.map(({ key }) => key));
      left = left.filter(({ id }) => !there.has(layout.item(id)));
    }
    return 0;
  }

  #checked(item: NewItem<A>): NewItem<A> {
    const { id, attributes } = item ?? {};
    if (typeof id !== 'string' || id === '')
      throw invalid('id', 'must be a text: of one or more key segments');
    const { problem } = this.#host.check(attributes);
    if (problem !== undefined) throw invalid('attributes', `of item ${JSON.stringify(id)} ${problem}`);
    if (JSON.stringify(attributes ?? null) === undefined)
      throw invalid('attributes', 'must be what JSON can say');
    return { id, attributes };
  }

  /** The bound is soft: so many at once may pass it. */
  async #assertRoom(count: number): Promise<void> {
    const { sync, layout, limit } = this.#host;
    const now = sync.clock.now();
    this.#addedSince += count;
    if (
      this.#addedSince >= COUNT_AFTER ||
      now - this.#countedAt > COUNT_EVERY ||
      !Number.isFinite(this.#count)
    ) {
      this.#count = (await sync.query({ prefix: layout.items })).records.length;
      this.#countedAt = now;
      this.#addedSince = count;
    }
    if (this.#count + this.#addedSince <= limit) return;
    const hint =
      'the store reads a pool as a whole; take another pool, or Postgres for what is not to be leased';
    throw refused(
      'limit-reached',
      `the pool has ${this.#count} items and takes at most ${limit} (option "limit"): ${hint}`,
    );
  }
}

function foreign(id: string, problem: string): SyncError {
  return refused(
    'foreign-record',
    `the record of item ${JSON.stringify(id)} ${problem}; it was left untouched`,
  );
}
