import type { RunResult } from '../servers/run.ts';
import type { ProjectName } from './projects.ts';

/** What the rows are run with. Everything is made when it is first asked for, and once. */
export interface Kit {
  /** The path of a Node of this version: `22` is the newest of its line that was there when it was fetched. */
  node(version: string): Promise<string>;
  /** A folder that has installed the packed library and what stands beside it. */
  project(name: ProjectName): Promise<string>;
  /** Of real servers, as `host:port`; of Postgres a connection string. */
  readonly addresses: { readonly etcd: string; readonly consul: string; readonly postgres: string };
}

/** One cell of a table of `docs/compatibility.md`. */
export interface Row {
  readonly table: string;
  readonly line: string;
  readonly column: string;
  /** What stands in the cell. */
  readonly says: string;
  /** Rejects if it is otherwise. */
  check(kit: Kit): Promise<void>;
}

export const nameOf = ({ table, line, column }: Row): string => `${table} | ${line} | ${column}`;

/** Rejects unless the command ended with this code and said so. */
export function expectEnd(result: RunResult, code: number, said: string): void {
  const output = result.stdout + result.stderr;
  if (result.code === code && output.includes(said)) return;
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const end = result.code === null ? 'was ended, too slow' : `ended with ${result.code}`;
  throw new Error(`${end}, where ${code} and "${said}" were expected: ${lines.slice(0, 12).join('\n    ')}`);
}
