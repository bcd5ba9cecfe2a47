import { cronCoordinator, SyncManager, setCurrentSyncManager } from 'holdfast';
import { currentGrant, RunOnce } from 'holdfast/decorators';
import { MemoryStore, memory } from 'holdfast/memory';
import cron from 'node-cron';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../scenarios/world.ts';

let store: MemoryStore;
let sync: SyncManager;
let other: SyncManager;

beforeEach(() => {
  store = new MemoryStore();
  [sync, other] = [1, 2].map(() => new SyncManager({ name: 'svc', backend: memory({ store }) })) as [
    SyncManager,
    SyncManager,
  ];
  setCurrentSyncManager(sync);
});
afterEach(async () => {
  setCurrentSyncManager(undefined);
  await Promise.all([sync.stop(), other.stop()]);
});

class Jobs {
  readonly runs: string[] = [];
  readonly other = other;

  @RunOnce('nightly', { atLeast: 60_000 })
  async nightly(): Promise<void> {
    this.runs.push(currentGrant().key);
  }

  @RunOnce((tenant: string) => `nightly/${tenant}`, { atLeast: 60_000, manager: (self: Jobs) => self.other })
  async ofTenant<T>(tenant: string, _of: T): Promise<void> {
    this.runs.push(tenant);
  }
}

test('E8: @RunOnce runs on one replica, and does nothing elsewhere', async () => {
  const [mine, theirs] = [new Jobs(), new Jobs()];
  await Promise.all([mine.nightly(), theirs.nightly()]);
  await mine.nightly();
  expect([...mine.runs, ...theirs.runs]).toEqual(['nightly']);
  await mine.ofTenant('a', 1);
  await theirs.ofTenant('a', 1);
  await theirs.ofTenant('b', 1);
  expect([...mine.runs, ...theirs.runs]).toEqual(['nightly', 'a', 'b']);
  expect([mine.nightly.name, mine.ofTenant.length]).toEqual(['nightly', 2]);
});

test('E8: an option of @RunOnce that is unknown is refused where the method is decorated', () => {
  expect(() => RunOnce('k', { atleast: 5 } as never)).toThrow(
    '@RunOnce: option "atleast" is unknown: did you mean "atLeast"?',
  );
  expect(() => RunOnce('k', undefined as never)).toThrow(/@RunOnce: option "options" must be an object/);
});

test('E8: as the coordinator of node-cron itself, each scheduled second runs on one of two replicas', async () => {
  const runs: string[] = [];
  const skips: string[] = [];
  const replicas = [sync, other].map((manager) => {
    const task = cron.createTask('* * * * * *', ({ dateLocalIso }) => void runs.push(dateLocalIso), {
      name: 'report',
      distributed: true,
      runCoordinator: cronCoordinator(manager),
    });
    task.on('execution:skipped', ({ reason, dateLocalIso }) => void skips.push(`${reason} ${dateLocalIso}`));
    return task;
  });
  await Promise.all(replicas.map((task) => task.start()));
  await until(() => runs.length >= 3 && skips.length >= 3);
  await Promise.all(replicas.map((task) => task.destroy()));
  expect(new Set(runs).size).toBe(runs.length);
  expect(skips.every((skip) => skip.startsWith('not-elected'))).toBe(true);
  expect(store.records().map(({ key }) => key)).toEqual(['cron/report.last-run']);
});
