import { isSyncError, type StoredRecord, SyncError, SyncManager } from 'holdfast';
import { currentGrant, WithLock } from 'holdfast/decorators';
import { inject, injectable } from 'inversify';

/** By the id of the payment, so that one that is sent again is not counted again. */
export type Payments = Readonly<Record<string, number>>;

/** Keeps orders in the same store as the locks, so that a write can be refused once its lock is over. */
@injectable()
export class Orders {
  readonly #sync: SyncManager;
  readonly #folder: string;

  constructor(@inject(SyncManager) sync: SyncManager) {
    this.#sync = sync;
    this.#folder = `${sync.name}-data/orders`;
  }

  /** One payment of an order at a time, in all replicas; others go on meanwhile. */
  @WithLock((id: string) => `orders/${id}`, { timeout: 15_000 })
  async pay(id: string, payment: string, amount: number): Promise<Payments> {
    const { isOwner, signal } = currentGrant();
    const key = `${this.#folder}/${id}`;
    const before = await this.#sync.commit({ when: [isOwner], read: { key } }, { signal });
    if (!before.ok) throw superseded(id);
    const payments = { ...paymentsOf(before.read), [payment]: amount };
    const after = await this.#sync.commit(
      { when: [isOwner], then: [{ put: key, value: JSON.stringify(payments) }] },
      { signal },
    );
    if (!after.ok) throw superseded(id);
    return payments;
  }

  async paid(id: string): Promise<Payments> {
    const result = await this.#sync.commit({ read: { key: `${this.#folder}/${id}` } });
    return paymentsOf(result.ok ? result.read : undefined);
  }
}

function superseded(id: string): SyncError {
  return new SyncError('lost', `the order ${id} is being paid by another replica`);
}

function paymentsOf(records: readonly StoredRecord[] = []): Payments {
  const [record] = records;
  return record === undefined ? {} : (JSON.parse(new TextDecoder().decode(record.value)) as Payments);
}

/** What the caller may try again: nothing was written, or the same payment sent again is not counted twice. */
export function isPassing(error: unknown): boolean {
  return isSyncError(error) && ['lost', 'timeout', 'unavailable', 'stopped', 'released'].includes(error.code);
}
