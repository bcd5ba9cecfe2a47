import { TextEncoder } from 'node:util';
import { SettleOnce } from '../../async/settle-once.ts';
import type { Backend, Commit, CommitResult, Condition, Mutation, Scope } from '../../contract/backend.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { checkKey } from '../../contract/keys.ts';
import { quoteKey } from '../../contract/quote.ts';
import { scopeProblem } from '../../contract/shapes.ts';
import { checkShape, checkValue } from '../../contract/validate.ts';
import type { CallersHost } from './callers-host.ts';
import { commitWithin } from './commit-within.ts';
import type { Grant, Proof } from './grant.ts';
import type { Keyspace } from './keyspace.ts';
import type { OwnedPut, OwnedRecords } from './owned-records.ts';
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
      /**
       * It goes with this manager's session: when that ends or is lost, and at `stop()`. The commit waits for a live session, bounded
       * by its signal. Only another owned put may write over it.
       */
      readonly owned?: boolean;
      /** Of an owned record: put again under the next session after a loss, which is told as `record-lost` in `events$`. */
      readonly keep?: boolean;
      readonly remove?: never;
      readonly session?: never;
    }
  | {
      readonly remove: string;
      readonly put?: never;
      readonly value?: never;
      readonly owned?: never;
      readonly keep?: never;
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

/** As the store is asked for it, but for the session of what is owned. */
export type CheckedCommit = Commit & { readonly owned?: readonly OwnedPut[] };

/**
 * Checks all of it before any I/O, and encodes text as UTF-8.
 *
 * @param own the keys of records that this manager's session owns.
 * @param spare operations that are added to it.
 */
export function checkCommit(
  commit: SyncCommit,
  backend: Backend,
  keyspace: Keyspace,
  protectedKeys: ProtectedKeys,
  own: { has(key: string): boolean },
  spare = 0,
): CheckedCommit {
  if (typeof commit !== 'object' || commit === null) throw invalid('a commit must be an object');
  for (const name in commit) {
    if (!MEMBERS.has(name)) throw invalid(`a commit has \`when\`, \`then\` and \`read\`, but no \`${name}\``);
  }
  const { when = [], then = [], read } = commit;
  checkShape({ when, then, read }, backend.traits.maxOperations - spare);
  const conditions = when.map((condition) => checkCondition(condition, keyspace));
  if (read !== undefined) checkRead(read, keyspace);
  const mutations = then.map((mutation) => checkMutation(mutation, backend, keyspace, protectedKeys, own));
  const owned: OwnedPut[] = [];
  for (const { put: key, owned: isOwned, keep = false } of then) {
    if (key !== undefined && isOwned === true) owned.push({ key, keep });
  }
  const step = { when: conditions, then: mutations, ...(read ? { read: keyspace.scope(read) } : {}) };
  return owned.length === 0 ? step : { ...step, owned };
}

/**
 * Carries out what was checked. Grants whose proof is among the conditions wait for it before they give way.
 *
 * @param transaction of the user's, which decides.
 */
export async function guardedCommit(
  checked: CheckedCommit,
  host: Pick<CallersHost, 'backend' | 'keyspace' | 'clock' | 'context'>,
  proofs: Proofs,
  own: OwnedRecords,
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
  const { owned, ...commit } = checked;
  const writing =
    transaction !== undefined
      ? commitWithin(commit, transaction, grants, host)
      : owned !== undefined
        ? own.commit(commit, owned, signal)
        : backend.commit(commit, signal);
  for (const grant of grants) grant.guard(writing);
  // Within a transaction it goes on, and so does the guard: the user takes it back by rolling back.
  const result = await (transaction === undefined ? writing : unlessAborted(writing, signal));
  if (result.ok) own.removed(commit.then);
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

/** Of a query: what can be read in two ways is refused, and a key that no store can hold. */
export function checkScope(scope: Scope, keyspace: Keyspace): void {
  const problem = scopeProblem(scope);
  if (problem !== undefined) throw invalid(`a scope ${problem}`);
  checkRead(scope, keyspace);
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
  own: { has(key: string): boolean },
): Mutation {
  const key: unknown = mutation.put ?? mutation.remove;
  keyspace.check(key);
  const problem = protectedKeys.problem(key);
  if (problem !== undefined) throw refused('invalid-key', `key ${quoteKey(key)} ${problem}`);
  if (mutation.put === undefined) return keyspace.mutation({ remove: mutation.remove });
  const { put, session, owned, keep } = mutation;
  if (session !== undefined) {
    throw invalid(
      `a mutation must not have \`session\`: ${quoteKey(put)} is of this manager's with \`owned: true\``,
    );
  }
  for (const [name, flag] of Object.entries({ owned, keep })) {
    if (flag === undefined || typeof flag === 'boolean') continue;
    throw invalid(`a mutation has a \`${name}\` of ${String(flag)}: it must be true or false`);
  }
  if (keep === true && owned !== true) throw invalid(`a mutation must not have \`keep\` without \`owned\``);
  if (owned !== true && own.has(put)) {
    const hint = 'with `owned: true` it would go on being so';
    throw refused('invalid-key', `key ${quoteKey(put)} is a record of this manager's session: ${hint}`);
  }
  const value = typeof mutation.value === 'string' ? encoder.encode(mutation.value) : mutation.value;
  checkValue(put, value, traits.maxValueBytes, 'a string or a Uint8Array');
  return keyspace.mutation({ put, value });
}

function invalid(problem: string): SyncError {
  return refused('invalid-option', problem);
}
