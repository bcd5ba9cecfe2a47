import { TextEncoder } from 'node:util';
import { SettleOnce } from '../../async/settle-once.ts';
import type { Backend, Commit, CommitResult, Condition, Mutation, Scope } from '../../contract/backend.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { checkKey } from '../../contract/keys.ts';
import { quoteKey } from '../../contract/quote.ts';
import { checkShape, checkValue } from '../../contract/validate.ts';
import type { CallersHost } from './callers-host.ts';
import { commitWithin } from './commit-within.ts';
import type { Grant, Proof } from './grant.ts';
import type { Keyspace } from './keyspace.ts';
import type { Proofs } from './proofs.ts';
import type { ProtectedKeys } from './protected-keys.ts';

/**
 * A write of plain data, in the same store as the locks. Not of a lock: keys with a segment `.lock`, and those that this
 * process holds or waits for, are refused with `invalid-key`.
 */
export type SyncMutation =
  | {
      readonly put: string;
      readonly value: Uint8Array | string;
      readonly remove?: never;
      readonly session?: never;
    }
  | {
      readonly remove: string;
      readonly put?: never;
      readonly value?: never;
      readonly session?: never;
    };

export interface SyncCommit {
  /** All must hold, or nothing is applied. `grant.isOwner` makes it a fenced write. */
  readonly when?: readonly (Condition | Proof)[];
  readonly then?: readonly SyncMutation[];
  /** Read in the same atomic step. */
  readonly read?: Scope;
}

const MEMBERS: ReadonlySet<string> = new Set<keyof SyncCommit>(['when', 'then', 'read']);

const encoder = new TextEncoder();

/** Checks all of it before any I/O, and encodes text as UTF-8. */
export function checkCommit(
  commit: SyncCommit,
  backend: Backend,
  keyspace: Keyspace,
  protectedKeys: ProtectedKeys,
): Commit {
  if (typeof commit !== 'object' || commit === null) throw invalid('a commit must be an object');
  for (const name in commit) {
    if (!MEMBERS.has(name)) throw invalid(`a commit has \`when\`, \`then\` and \`read\`, but no \`${name}\``);
  }
  const { when = [], then = [], read } = commit;
  checkShape({ when, then, read }, backend.traits.maxOperations);
  const conditions = when.map((condition) => checkCondition(condition, keyspace));
  if (read !== undefined) checkRead(read, keyspace);
  const mutations = then.map((mutation) => checkMutation(mutation, backend, keyspace, protectedKeys));
  return { when: conditions, then: mutations, ...(read ? { read: keyspace.scope(read) } : {}) };
}

/**
 * Carries out what was checked. Grants whose proof is among the conditions wait for it before they give way.
 *
 * @param transaction of the user's, which decides.
 */
export async function guardedCommit(
  checked: Commit,
  host: Pick<CallersHost, 'backend' | 'keyspace' | 'clock' | 'context'>,
  proofs: Proofs,
  signal: AbortSignal,
  transaction?: unknown,
): Promise<CommitResult> {
  const { backend, keyspace } = host;
  const grants: Grant[] = [];
  let over = false;
  for (const condition of checked.when) {
    const grant = proofs.of(condition);
    if (grant === 'over') over = true;
    else if (grant !== undefined) grants.push(grant);
  }
  // The store may not know of it: callers of one process hand a record on as it is.
  if (over) {
    if (checked.read === undefined) return { ok: false, why: 'conflict' };
    const { records } = await backend.query(checked.read, { signal });
    return { ok: false, why: 'conflict', read: keyspace.told(records) };
  }
  const writing =
    transaction === undefined
      ? backend.commit(checked, signal)
      : commitWithin(checked, transaction, grants, host);
  for (const grant of grants) grant.guard(writing);
  // Within a transaction it goes on, and so does the guard: the user takes it back by rolling back.
  const result = await (transaction === undefined ? writing : unlessAborted(writing, signal));
  if (!('read' in result) || result.read === undefined) return result;
  return { ...result, read: keyspace.told(result.read) };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const call = new SettleOnce<T>().follow(signal);
  work.then(
    (value) => call.resolve(value),
    (error: unknown) => call.reject(error),
  );
  return call.promise;
}

function checkCondition(condition: Condition | Proof, keyspace: Keyspace): Condition | Proof {
  const { revision, handOff } = condition as Partial<Proof>;
  if (handOff === undefined) {
    keyspace.check(condition.key);
    return keyspace.condition(condition);
  }
  checkKey(condition.key);
  if (revision === undefined) throw invalid('a condition must not have `handOff` without `revision`');
  if (Number.isSafeInteger(handOff) && handOff >= 0) return condition;
  throw invalid(`a condition has a \`handOff\` of ${String(handOff)}: it must be a whole number, 0 or more`);
}

function checkRead(read: Scope, keyspace: Keyspace): void {
  if (read.key !== undefined) keyspace.check(read.key);
  else if (read.prefix !== '') keyspace.check(String(read.prefix).replace(/\/$/, ''));
}

function checkMutation(
  mutation: SyncMutation,
  { traits }: Backend,
  keyspace: Keyspace,
  protectedKeys: ProtectedKeys,
): Mutation {
  const key: unknown = mutation.put ?? mutation.remove;
  keyspace.check(key);
  const problem = protectedKeys.problem(key);
  if (problem !== undefined) throw refused('invalid-key', `key ${quoteKey(key)} ${problem}`);
  if (mutation.put === undefined) return keyspace.mutation({ remove: mutation.remove });
  const { put, session } = mutation;
  if (session !== undefined)
    throw invalid(`a mutation must not have \`session\`: ${quoteKey(put)} is plain data`);
  const value = typeof mutation.value === 'string' ? encoder.encode(mutation.value) : mutation.value;
  checkValue(put, value, traits.maxValueBytes, 'a string or a Uint8Array');
  return keyspace.mutation({ put, value });
}

function invalid(problem: string): SyncError {
  return refused('invalid-option', problem);
}
