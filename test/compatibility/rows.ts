import { jestRows } from './jest-rows.ts';
import { nodeRows } from './node-rows.ts';
import { peerRows } from './peer-rows.ts';
import type { Row } from './row.ts';
import { typescriptRows } from './typescript-rows.ts';

export const rows: readonly Row[] = [...nodeRows, ...typescriptRows, ...jestRows, ...peerRows];
