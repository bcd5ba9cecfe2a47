import { isBytes } from '../async/realms.ts';
import type { BackendTraits, Commit, Mutation, Scope, SessionOptions } from './backend.ts';
import { refused } from './errors.ts';
import { quoteKey } from './quote.ts';
import { conditionProblem, mutationProblem, scopeProblem } from './shapes.ts';

/** What no server should be asked for is refused here, before any I/O: the same mistake is the same error for all of them. */

/** Which keys a server can hold. */
export interface KeyRules {
  /** What is wrong with a key, or nothing. */
  keyProblem(key: string): string | undefined;
  /** The same for a prefix, whose last segment may be cut off anywhere. */
  prefixProblem(prefix: string): string | undefined;
}

/** What differs between servers. */
export interface Limits extends KeyRules {
  readonly maxValueBytes: number;
  readonly maxOperations: number;
}

export function checkKey(key: unknown, limits: Pick<Limits, 'keyProblem'>): asserts key is string {
  checkName('key', key, limits.keyProblem);
}

export function checkScope(scope: Scope, limits: KeyRules): void {
  const problem = scopeProblem(scope);
  if (problem !== undefined) throw refused('invalid-option', `a scope ${problem}`);
  checkPlace(scope, limits);
}

function checkPlace(scope: Scope, limits: KeyRules): void {
  if (scope.key !== undefined) checkName('key', scope.key, limits.keyProblem);
  else checkName('prefix', scope.prefix, limits.prefixProblem);
}

/** Of a commit, whoever writes it: no part can be read in two ways, and there are not too many. */
export function checkShape(
  { when, then, read, count }: { when: unknown; then: unknown; read?: unknown; count?: unknown },
  maxOperations: number,
): void {
  if (!Array.isArray(when)) throw refused('invalid-option', "a commit's `when` must be an array");
  if (!Array.isArray(then)) throw refused('invalid-option', "a commit's `then` must be an array");
  const operations = when.length + then.length + (read === undefined && count === undefined ? 0 : 1);
  if (operations > maxOperations) {
    const limit = `at most ${maxOperations} conditions, mutations and reads together`;
    throw refused('invalid-option', `a commit must have ${limit}, not ${operations}`);
  }
  for (const condition of when) {
    const problem = conditionProblem(condition);
    if (problem !== undefined) throw refused('invalid-option', `a condition ${problem}`);
  }
  for (const mutation of then) {
    const problem = mutationProblem(mutation);
    if (problem !== undefined) throw refused('invalid-option', `a mutation ${problem}`);
  }
  if (read !== undefined && count !== undefined) {
    throw refused('invalid-option', 'a commit must not have `count` beside `read`');
  }
  const problem = read === undefined ? undefined : scopeProblem(read);
  if (problem !== undefined) throw refused('invalid-option', `a commit's \`read\` ${problem}`);
}

export function checkCommit(commit: Commit, limits: Limits): void {
  checkShape(commit, limits.maxOperations);
  const { when, then, read, count } = commit;
  // Most often a condition and a mutation are about one key.
  let checked: string | undefined;
  for (const { key } of when) {
    if (key !== checked) checkName('key', key, limits.keyProblem);
    checked = key;
  }
  const keys = then.length > 1 ? new Set<string>() : undefined;
  for (const mutation of then) {
    const key = keyOf(mutation);
    if (key !== checked) checkName('key', key, limits.keyProblem);
    checked = key;
    if (keys?.has(key)) {
      throw refused(
        'invalid-option',
        `a commit must not have two mutations for one key, here ${quoteKey(key)}`,
      );
    }
    keys?.add(key);
    if (mutation.put !== undefined) checkPut(mutation, limits);
  }
  if (read !== undefined) checkPlace(read, limits);
  if (count !== undefined) checkName('prefix', count, limits.prefixProblem);
}

/** A lock-delay is looked at only where the server knows one. */
export function checkSession({ ttl, lockDelay }: SessionOptions, traits: BackendTraits): void {
  const { ttl: allowed, maxLockDelay } = traits;
  if (!(ttl >= allowed.min && ttl <= allowed.max)) {
    throw refused('invalid-option', `\`ttl\` must be ${allowed.min} to ${allowed.max} ms, not ${ttl}`);
  }
  if (maxLockDelay === 0 || (lockDelay >= 0 && lockDelay <= maxLockDelay)) return;
  throw refused('invalid-option', `\`lockDelay\` must be 0 to ${maxLockDelay} ms, not ${lockDelay}`);
}

export function checkWait(wait: number | undefined): void {
  if (wait === undefined || wait >= 0) return;
  throw refused('invalid-option', `\`wait\` must be 0 or more milliseconds, not ${wait}`);
}

export function keyOf(mutation: Mutation): string {
  return mutation.put !== undefined ? mutation.put : mutation.remove;
}

function checkName(
  kind: 'key' | 'prefix',
  name: unknown,
  problemOf: (name: string) => string | undefined,
): void {
  const problem = typeof name === 'string' ? problemOf(name) : 'must be a string';
  if (problem !== undefined) throw refused('invalid-key', `the ${kind} ${quoteKey(name)} ${problem}`);
}

function checkPut({ put, value, session }: Mutation & { readonly put: string }, limits: Limits): void {
  checkValue(put, value, limits.maxValueBytes, 'a Uint8Array');
  if (session === undefined || typeof (session as unknown) === 'string') return;
  throw refused('invalid-option', `the session of ${quoteKey(put)} must be a string, not ${String(session)}`);
}

/** @param kinds what it may be, for who gives something else. */
export function checkValue(
  key: string,
  value: unknown,
  maxBytes: number,
  kinds: string,
): asserts value is Uint8Array {
  if (!isBytes(value)) throw refused('invalid-option', `the value of ${quoteKey(key)} must be ${kinds}`);
  if (value.byteLength <= maxBytes) return;
  const size = `${value.byteLength} bytes; at most ${maxBytes} fit`;
  throw refused('value-too-large', `the value of ${quoteKey(key)} has ${size}`);
}
