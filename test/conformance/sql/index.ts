import type { ConformanceClientOptions } from 'holdfast/testing';
import type { Backend } from '../../../src/contract/backend.ts';
import { SqlBackend } from './backend.ts';
import { Database } from './database.ts';
import type { Flaw } from './flaws.ts';

export type { Flaw };

/** A database of its own, and how its clients are opened. */
export function sqlServer(flaw?: Flaw): {
  readonly database: Database;
  open(options: ConformanceClientOptions): Backend;
} {
  const database = new Database();
  return { database, open: ({ pause }) => new SqlBackend(database, pause, flaw) };
}
