import { called1, version1 } from './version-1/index.ts';

/** The newest version of the schema that this library knows. */
export const VERSION = 1;

/**
 * Migrations, forward only: what each adds to the one before. One that the libraries before cannot live with raises `readable_from`,
 * and gives `run_1` another answer: so that those that run already ask again, and are told.
 */
const MIGRATIONS = [version1] as const;

/** Of all versions whose functions the library still calls. */
const CALLED = called1;

/** Of two that install at a time one waits for the other. */
const INSTALLING = 7308604899;

/** Double quotes, as SQL has them. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The SQL that brings a database to the present version of the schema, in one transaction, whatever was there before. It is to be run
 * by the role that is to own the schema.
 *
 * @param role may use what is created, and nothing else of it: the role of the application.
 */
export function schemaSql({ schema = 'holdfast', role }: { schema?: string; role?: string } = {}): string {
  const s = quoteName(schema);
  const steps = MIGRATIONS.map((migration, n) => {
    const sql = migration(s, quoteText(schema));
    const mark = n === 0 ? '' : `UPDATE ${s}.meta SET version = ${n + 1};`;
    return `IF v_version < ${n + 1} THEN EXECUTE $holdfast$${sql}${mark}$holdfast$; END IF;`;
  });
  return `DO $install$
DECLARE
  v_version int := 0;
  v_readable_from int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(${INSTALLING});
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'holdfast needs a database with the encoding UTF8, not %', current_setting('server_encoding');
  END IF;
  IF to_regnamespace(${quoteText(s)}) IS NULL THEN
    CREATE SCHEMA ${s};
  ELSIF to_regprocedure(${quoteText(`${s}.hello_1()`)}) IS NOT NULL THEN
    SELECT version, readable_from INTO v_version, v_readable_from FROM ${s}.meta;
    IF v_readable_from > ${VERSION} THEN
      RAISE EXCEPTION 'the schema % is of version %, which is too new for this version of holdfast: update holdfast', ${quoteText(s)}, v_version;
    END IF;
  ELSIF EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(${quoteText(s)}))
    OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace(${quoteText(s)}))
  THEN
    RAISE EXCEPTION 'the schema % holds something that is not of holdfast: choose another one', ${quoteText(s)};
  ELSIF has_schema_privilege('public', ${quoteText(s)}::regnamespace, 'CREATE') THEN
    -- Our functions would call theirs, with the rights of the owner.
    RAISE EXCEPTION 'everybody may create something in the schema %: choose another one', ${quoteText(s)};
  END IF;
  ${steps.join('\n  ')}
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${s} FROM PUBLIC;
  ${role === undefined ? '' : grants(s, quoteName(role))}
END $install$;`;
}

function grants(s: string, role: string): string {
  return `GRANT USAGE ON SCHEMA ${s} TO ${role};
  GRANT EXECUTE ON FUNCTION ${CALLED.map((name) => `${s}.${name}`).join(', ')} TO ${role};`;
}
