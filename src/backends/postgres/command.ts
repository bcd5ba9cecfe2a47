import { parseArgs } from 'node:util';
import { isError } from '../../async/realms.ts';
import { installSql } from './index.ts';

const USAGE = `Usage: holdfast-postgres sql [--schema <name>] [--role <name>]

Prints the SQL that creates the schema of holdfast, or brings it up to date, for psql or a migration.
Nothing is connected to.

  --schema <name>  default: holdfast
  --role <name>    the role of the application, which may then use the schema and nothing else of it`;

/** What the command `holdfast-postgres` says to its arguments. */
export function runCommand(args: readonly string[]): { readonly output?: string; readonly problem?: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        schema: { type: 'string' },
        role: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return { output: USAGE };
    if (positionals.length !== 1 || positionals[0] !== 'sql') return { problem: USAGE };
    const { schema, role } = values;
    return {
      output: installSql({ ...(schema !== undefined && { schema }), ...(role !== undefined && { role }) }),
    };
  } catch (error) {
    return { problem: `${isError(error) ? error.message : String(error)}\n\n${USAGE}` };
  }
}
