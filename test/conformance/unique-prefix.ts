import { randomUUID } from 'node:crypto';

/** A prefix nobody else uses, also on a server that outlives the run. */
export function uniquePrefix(): string {
  return `conformance/${randomUUID()}/`;
}
