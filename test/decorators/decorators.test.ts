import { type Grant, isSyncError, SyncManager, setCurrentSyncManager } from 'holdfast';
import { currentGrant, LeaderOnly, WithLock } from 'holdfast/decorators';
import { MemoryStore, memory } from 'holdfast/memory';
import { afterEach, beforeEach, expect, test } from 'vitest';

let store: MemoryStore;
let sync: SyncManager;

beforeEach(() => {
  store = new MemoryStore();
  sync = new SyncManager({ name: 'svc', backend: memory({ store }) });
  setCurrentSyncManager(sync);
});
afterEach(async () => {
  setCurrentSyncManager(undefined);
  await sync.stop();
});

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

class Orders {
  readonly log: string[] = [];
  readonly other = sync;
  #count = 0;

  @WithLock((id: string) => `orders/${id}`)
  async pay(id: string, amount: number): Promise<number> {
    this.log.push(`pay ${id} begins`);
    await pause(5);
    expect(currentGrant().held).toBe(true);
    this.log.push(`pay ${id} ends`);
    return amount * 2;
  }

  @WithLock('orders', { timeout: 50 })
  async all(): Promise<Grant> {
    await pause(1);
    return this.inner();
  }

  inner(): Grant {
    return currentGrant();
  }

  @WithLock('fails')
  async fail(): Promise<never> {
    throw new Error('no');
  }

  @WithLock('elsewhere', { manager: (self: Orders) => self.other })
  async elsewhere(): Promise<number> {
    this.#count++;
    return this.#count;
  }
}

test('@WithLock: calls for one key go one after the other, others beside them; the result is kept', async () => {
  const orders = new Orders();
  const rival = new Orders();
  const results = await Promise.all([orders.pay('1', 10), rival.pay('1', 20), orders.pay('2', 30)]);
  expect(results).toEqual([20, 40, 60]);
  expect(orders.log.filter((line) => line.includes('pay 1'))).toEqual(['pay 1 begins', 'pay 1 ends']);
  const begins = [...orders.log, ...rival.log].filter((line) => line.endsWith('begins'));
  expect(begins).toHaveLength(3);
  expect(orders.pay.name).toBe('pay');
  expect(store.records()).toEqual([]);
});

test('@WithLock: the grant is reachable in what the method calls, and gone afterwards', async () => {
  const orders = new Orders();
  const grant = await orders.all();
  expect([grant.key, grant.held]).toEqual(['orders', false]);
  expect(() => currentGrant()).toThrow(expect.objectContaining({ code: 'no-current-grant' }));
});

test('@WithLock: released when the method fails; a timeout is the call’s own', async () => {
  const orders = new Orders();
  await expect(orders.fail()).rejects.toThrow('no');
  expect(store.records()).toEqual([]);
  const taken = await sync.acquire('orders');
  await expect(orders.all()).rejects.toSatisfy((error) => isSyncError(error, 'timeout'));
  await taken.release();
});

test('@WithLock: the manager of an instance, instead of the current one', async () => {
  const orders = new Orders();
  setCurrentSyncManager(undefined);
  expect(await orders.elsewhere()).toBe(1);
  await expect(orders.all()).rejects.toMatchObject({ code: 'no-current-manager' });
});

class Jobs {
  runs = 0;

  @LeaderOnly()
  async nightly(): Promise<void> {
    expect(currentGrant().key).toBe('service/svc/leadership');
    this.runs++;
  }

  @LeaderOnly({ otherwise: 'throw' })
  async report(): Promise<number> {
    return ++this.runs;
  }
}

test('@LeaderOnly: runs where this process leads, and otherwise does nothing or throws', async () => {
  const jobs = new Jobs();
  await using rival = new SyncManager({ name: 'svc', backend: memory({ store }) });
  await rival.leadership.lock.lock();
  await jobs.nightly();
  await expect(jobs.report()).rejects.toMatchObject({ code: 'not-leader' });
  expect(jobs.runs).toBe(0);
  // It has stood for leadership since its first call.
  await rival.stop();
  await sync.leadershipLock().lock();
  await jobs.nightly();
  expect(await jobs.report()).toBe(2);
});

test('@LeaderOnly: a pause after stepping down is respected', async () => {
  const jobs = new Jobs();
  await jobs.nightly();
  await sync.leadership.stepDown({ pause: 10_000 });
  await jobs.nightly();
  expect([jobs.runs, sync.leadership.lock.claimed]).toEqual([1, false]);
});

test('both work as standard decorators as well', async () => {
  const context = { kind: 'method', name: 'pay' } as ClassMethodDecoratorContext;
  async function pay(this: { rate: number }, id: string): Promise<string> {
    return `${id} ${this.rate} ${currentGrant().key}`;
  }
  const decorated = WithLock((id: string) => `orders/${id}`)(pay, context);
  expect(await decorated.call({ rate: 3 }, '7')).toBe('7 3 orders/7');
  expect(decorated.name).toBe('pay');
});
