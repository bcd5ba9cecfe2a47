import { SyncManager } from 'holdfast';
import { LeasePool } from 'holdfast/leases';
import { memory } from 'holdfast/memory';
import { observeLeases } from 'holdfast/opentelemetry';
import { expect, test } from 'vitest';
import { until } from '../scenarios/world.ts';
import { openTelemetrySdk } from './telemetry-fixture.ts';

test('what a pool holds, what is free and for how long, and what was lost are metrics', async () => {
  const sdk = openTelemetrySdk();
  await using sync = new SyncManager({ name: 'shop', backend: memory() });
  const pool = new LeasePool(sync, { prefix: 'shards' });
  observeLeases(pool, { meterProvider: sdk.meterProvider });
  await pool.addAll([0, 1, 2].map((n) => ({ id: String(n), attributes: null })));
  const lease = await pool.obtain({ lesseeId: 'a' });
  const values = async (name: string): Promise<unknown> =>
    (await sdk.points(name)).map(({ attributes, value }) => ({ attributes, value }));
  const labels = { 'holdfast.service': 'shop', 'holdfast.pool': 'shards' };
  await until(() => pool.status.free === 2);
  expect(await values('holdfast.lease.held')).toEqual([{ attributes: labels, value: 1 }]);
  expect(await values('holdfast.lease.free')).toEqual([{ attributes: labels, value: 2 }]);
  const lost = new Promise((resolve) => lease.lost$.subscribe(resolve));
  await pool.remove(lease.id);
  await lost;
  const reasons = { ...labels, 'holdfast.reason': 'removed' };
  expect(await values('holdfast.lease.losses')).toEqual([{ attributes: reasons, value: 1 }]);
  expect(await values('holdfast.lease.obtained')).toEqual([{ attributes: labels, value: 1 }]);
  await pool.stop();
  await sdk.close();
});
