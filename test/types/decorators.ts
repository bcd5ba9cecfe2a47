// Compiled by `npm run typecheck` with both kinds of decorators, never run: what users may decorate, and what must not compile.
import type { SyncManager } from 'holdfast';
import { LeaderOnly, RunOnce, WithLock } from 'holdfast/decorators';

interface Order {
  readonly id: string;
  readonly amount: number;
}

export class Orders {
  declare readonly sync: SyncManager;

  @WithLock('orders')
  async all(): Promise<string[]> {
    return [];
  }

  @WithLock(({ id }: { id: string }) => `orders/${id}`)
  async pay(order: Order, twice: boolean): Promise<number> {
    return order.amount * (twice ? 2 : 1);
  }

  @WithLock('k', { manager: (self: Orders) => self.sync, timeout: 5 })
  async withOptions(): Promise<void> {}

  @LeaderOnly()
  async nightly(): Promise<void> {}

  @LeaderOnly({ otherwise: 'throw' })
  async report(): Promise<number> {
    return 1;
  }

  @WithLock('generic')
  async generic<T>(value: T): Promise<T> {
    return value;
  }

  @WithLock((id: string) => id)
  async genericKeyed<T extends object>(_id: string, value: T): Promise<T> {
    return value;
  }

  @LeaderOnly()
  async genericLeader<T>(_value: T): Promise<void> {}

  @WithLock('static')
  static async ofAll<T>(values: T[]): Promise<T[]> {
    return values;
  }

  // @ts-expect-error the key is made of an argument that the method has not
  @WithLock((id: string) => id)
  async genericWithout<T>(_value: T[]): Promise<void> {}

  // @ts-expect-error the key is made of an argument that the method does not have
  @WithLock((id: string) => id)
  async without(): Promise<void> {}

  // @ts-expect-error the key is made of an argument of another type
  @WithLock((id: string) => id)
  async byNumber(_id: number): Promise<void> {}

  // @ts-expect-error a key is text
  @WithLock((id: number) => id)
  async numbered(_id: number): Promise<void> {}

  // @ts-expect-error the method has to wait, so it has to be asynchronous
  @WithLock('k')
  now(): number {
    return 1;
  }

  // @ts-expect-error a call that is skipped has no result
  @LeaderOnly()
  async skipped(): Promise<number> {
    return 1;
  }

  @RunOnce((id: string) => id, { atLeast: 5 })
  async once(_id: string): Promise<void> {}

  // @ts-expect-error how long is for whoever uses it to say
  @RunOnce('once', {})
  async withoutAtLeast(): Promise<void> {}

  // @ts-expect-error a call that is skipped has no result
  @RunOnce('once', { atLeast: 5 })
  async skippedOnce(): Promise<number> {
    return 1;
  }

  // @ts-expect-error there is no such option
  @LeaderOnly({ otherwise: 'wait' })
  async waits(): Promise<void> {}

  // @ts-expect-error it decorates methods
  @WithLock('k')
  readonly field = 1;
}

// The types are kept.
export const same: Promise<5> = new Orders().generic<5>(5);
// @ts-expect-error as they were
new Orders().pay('1');
