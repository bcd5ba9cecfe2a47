/** What every function says that may do more than who calls it. @param s the schema, quoted. */
export function secured(s: string): string {
  return `LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp`;
}

/**
 * Of what removes records. A transaction of a user's that has taken a proof keeps its record for as long as it likes: who removes it
 * comes back, rather than to hold a connection and all who travel with him.
 */
export const IMPATIENT = `SET lock_timeout = '500ms'`;
