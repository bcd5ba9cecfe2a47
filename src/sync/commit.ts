import {
  type Backend,
  type Commit,
  type CommitResult,
  type Condition,
  type Mutation,
  REFUSED,
  type Scope,
  SyncError,
} from './backend.ts';
import { ownerOf } from './grant.ts';
import { checkKey, quoteKey } from './keys.ts';

/** A write of plain data, in the same store as the locks. */
export type SyncMutation =
  | { readonly put: string; readonly value: Uint8Array | string }
  | { readonly remove: string };

export interface SyncCommit {
  /** All must hold, or nothing is applied. `grant.isOwner` makes it a fenced write. */
  readonly when?: readonly Condition[];
  readonly then?: readonly SyncMutation[];
  /** Read in the same atomic step. */
  readonly read?: Scope;
}

const encoder = new TextEncoder();

/** Checks keys and sizes before any I/O, and encodes text as UTF-8. */
export function checkCommit(commit: SyncCommit, backend: Backend): Commit {
  const { when = [], then = [], read } = commit;
  for (const condition of when) checkKey(condition.key);
  if (read !== undefined) {
    if ('key' in read) checkKey(read.key);
    else if (read.prefix !== '') checkKey(read.prefix.replace(/\/$/, ''));
  }
  return { when, then: then.map((mutation) => checkMutation(mutation, backend)), ...(read ? { read } : {}) };
}

/** Carries out what was checked. Grants whose proof is among the conditions wait for it before they give way. */
export async function guardedCommit(
  checked: Commit,
  backend: Backend,
  signal: AbortSignal,
): Promise<CommitResult> {
  const owners = checked.when.map(ownerOf).filter((grant) => grant !== undefined);
  // The store may not know of it: callers of one process hand a record on as it is.
  if (owners.some(({ ended }) => ended === 'released')) {
    if (checked.read === undefined) return { ok: false, why: 'conflict' };
    const { records } = await backend.query(checked.read, { signal });
    return { ok: false, why: 'conflict', read: records };
  }
  const writing = backend.commit(checked, signal);
  for (const grant of owners) grant.guard(writing);
  return await writing;
}

function checkMutation(mutation: SyncMutation, { traits }: Backend): Mutation {
  if ('remove' in mutation) {
    checkKey(mutation.remove);
    return { remove: mutation.remove };
  }
  checkKey(mutation.put);
  const { put } = mutation;
  const value = typeof mutation.value === 'string' ? encoder.encode(mutation.value) : mutation.value;
  if (!(value instanceof Uint8Array)) {
    throw new SyncError(
      'invalid-option',
      `the value of ${quoteKey(put)} must be a string or a Uint8Array`,
      REFUSED,
    );
  }
  if (value.byteLength > traits.maxValueBytes) {
    const size = `${value.byteLength} bytes; ${traits.name} takes at most ${traits.maxValueBytes}`;
    throw new SyncError('value-too-large', `the value of ${quoteKey(put)} has ${size}`, REFUSED);
  }
  return { put, value };
}
