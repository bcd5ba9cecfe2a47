import { refused, type SyncError } from '../../../contract/errors.ts';
import { quoteKey } from '../../../contract/quote.ts';
import type { Row } from '../database.ts';
import { HOW_TO_INSTALL } from '../errors.ts';
import { VERSION } from './install.ts';

/** In a statement over `hello_1() AS h`: what `timelineOf` would not refuse. */
export const USABLE = `(h.encoding = 'UTF8' AND h.version >= ${VERSION} AND h.readable_from <= ${VERSION})`;

/** Of what `hello_1` has said. Throws where this library cannot use that schema: before anything else is done there. */
export function timelineOf(row: Row | undefined, schema: string): string {
  const { timeline, version, readable_from, encoding } = row ?? {};
  if (encoding !== 'UTF8') {
    throw unusable(schema, `is in a database with the encoding ${encoding}: it needs one with UTF8`);
  }
  if (Number(readable_from) > VERSION) {
    throw unusable(
      schema,
      `is of version ${version}, which is too new for this version of holdfast: update holdfast`,
    );
  }
  if (!(Number(version) >= VERSION)) {
    throw unusable(schema, `is of version ${version}, and version ${VERSION} is needed: ${HOW_TO_INSTALL}`);
  }
  return String(timeline);
}

function unusable(schema: string, problem: string): SyncError {
  return refused('rejected', `the schema ${quoteKey(schema)} ${problem}`);
}
