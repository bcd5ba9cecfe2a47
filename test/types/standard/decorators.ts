// Compiled by `npm run typecheck`, never run: the same as the file above, with standard decorators.
import { LeaderOnly, WithLock } from 'holdfast/decorators';

export class Orders {
  readonly rate = 2;

  @WithLock(({ id }: { id: string }) => `orders/${id}`)
  async pay(order: { id: string; amount: number }, twice: boolean): Promise<number> {
    return order.amount * (twice ? this.rate : 1);
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
  static async all<T>(values: T[]): Promise<T[]> {
    return values;
  }

  // @ts-expect-error the key is made of an argument that the method does not have
  @WithLock((id: string) => id)
  async without(): Promise<void> {}

  // @ts-expect-error the key is made of an argument of another type
  @WithLock((id: string) => id)
  async genericByNumber<T>(_id: number, _value: T): Promise<void> {}

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
}

export const paid: Promise<number> = new Orders().pay({ id: '1', amount: 1 }, true);
export const same: Promise<5> = new Orders().generic<5>(5);
// @ts-expect-error as they were
new Orders().pay('1');
