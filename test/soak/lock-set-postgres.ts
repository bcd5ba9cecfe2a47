import { until } from '../scenarios/world.ts';
import { MovingAddress } from '../servers/moving-address.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startReplica } from '../servers/postgres-replica.ts';
import { lockSet } from './lock-set.ts';
import type { RowOptions, RowResult } from './row.ts';

/** A lock set whose clients are killed as well, and whose server is killed and started again. */
export async function lockSetWithRestarts(options: RowOptions): Promise<RowResult> {
  await using server = await startPostgres({ schema: true, fsync: true });
  const restart = async (): Promise<void> => {
    await server.kill();
    await server.restart();
  };
  return await lockSet('postgres', server.address, {
    ...options,
    kills: options.count,
    disasters: Array.from({ length: Math.ceil(options.count / 5) }, () => restart),
  });
}

/** The same whose primary is killed, and whose synchronous replica takes its place. */
export async function lockSetWithFailover(options: RowOptions): Promise<RowResult> {
  await using primary = await startPostgres({ schema: true });
  await using replica = await startReplica(primary);
  await primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
  await primary.sql('SELECT pg_reload_conf()');
  await until(async () => {
    const [row] = await primary.sql(
      "SELECT count(*)::int AS n FROM pg_stat_replication WHERE sync_state = 'sync'",
    );
    return row?.n === 1;
  });
  await using address = await MovingAddress.open(primary.address);
  const failOver = async (): Promise<void> => {
    await primary.kill();
    await replica.promote();
    address.move(replica.address);
  };
  return await lockSet('postgres', address.address, {
    ...options,
    kills: options.count,
    disasters: [failOver],
  });
}
