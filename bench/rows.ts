import type { Row } from './row.ts';
import { callerRows } from './rows/callers.ts';
import { cycleRows } from './rows/cycle.ts';
import { keyRows } from './rows/keys.ts';

export const rows: readonly Row[] = [...cycleRows, ...callerRows, ...keyRows];
