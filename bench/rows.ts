import type { Row } from './row.ts';
import { burstRows } from './rows/bursts.ts';
import { callerRows } from './rows/callers.ts';
import { contenderRows } from './rows/contenders.ts';
import { cycleRows } from './rows/cycle.ts';
import { failOverRows } from './rows/fail-over.ts';
import { handOffRows } from './rows/hand-off.ts';
import { heldRows } from './rows/held.ts';
import { keyRows } from './rows/keys.ts';
import { leaseRows } from './rows/leases.ts';
import { postgresRows } from './rows/postgres.ts';
import { queueRows } from './rows/queue.ts';

export const rows: readonly Row[] = [
  ...cycleRows,
  ...callerRows,
  ...keyRows,
  ...burstRows,
  ...contenderRows,
  ...queueRows,
  ...handOffRows,
  ...heldRows,
  ...failOverRows,
  ...leaseRows,
  ...postgresRows,
];
