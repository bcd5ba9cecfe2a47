/** What every function says that may do more than who calls it. @param s the schema, quoted. */
export function secured(s: string): string {
  return `LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp`;
}
