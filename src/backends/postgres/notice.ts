import { createHash } from 'node:crypto';
import type { Revision } from '../../contract/backend.ts';

/** What a notice says. */
export interface Notice {
  /** That something changed under these; `undefined`: it may be anywhere. */
  readonly keys: readonly string[] | undefined;
  /** They were removed, at these revisions. */
  readonly gone?: ReadonlyMap<string, Revision>;
}

export const ANYTHING: Notice = { keys: undefined };

/** Of what is gone, before the list. */
const SIGNATURE = /^[0-9a-f]{64}(?=\[)/;

/**
 * Anybody may send a notice on any channel. What is none of ours may be about anything, as one that says so: then who wants to know
 * looks. What is said to be gone nobody looks for, so that has to be signed with what only those know who may use the schema.
 */
export function noticeOf(payload: string | undefined, secret: string | undefined): Notice {
  const signature = SIGNATURE.exec(payload ?? '')?.[0];
  const list = (payload ?? '').slice(signature?.length ?? 0);
  try {
    const items: unknown = JSON.parse(list);
    if (signature === undefined) return areKeys(items) ? { keys: items } : ANYTHING;
    if (secret === undefined || signature !== signatureOf(list.slice(1, -1), secret)) return ANYTHING;
    const gone = new Map((items as [string, string][]).map(([key, revision]) => [key, BigInt(revision)]));
    return { keys: [...gone.keys()], gone };
  } catch {
    return ANYTHING;
  }
}

function areKeys(items: unknown): items is string[] {
  return Array.isArray(items) && items.every((item) => typeof item === 'string');
}

function signatureOf(text: string, secret: string): string {
  return createHash('sha256')
    .update(secret + text + secret)
    .digest('hex');
}
