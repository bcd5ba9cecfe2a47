import {
  type BackendTraits,
  type Commit,
  type Condition,
  type Mutation,
  REFUSED,
  type Scope,
  SyncError,
} from '../../sync/backend.ts';

/** The server's default for `--max-txn-ops`. */
const MAX_OPERATIONS = 128;

/** etcd takes any bytes as a key; these are what a string can express, and NUL is its sign for "no end". */
export function checkKey(key: string): void {
  if (key === '') throw new SyncError('invalid-key', 'A key must not be empty.', REFUSED);
  checkBytes(key);
}

export function checkScope(scope: Scope): void {
  if ('key' in scope) checkKey(scope.key);
  else checkBytes(scope.prefix);
  if ('oldest' in scope) checkCount('oldest', scope.oldest);
  if ('youngest' in scope) checkCount('youngest', scope.youngest);
}

function checkCount(name: string, count: number): void {
  if (Number.isSafeInteger(count) && count > 0) return;
  throw invalid(`\`${name}\` must be a whole number above 0, not ${count}`);
}

export function checkCommit({ when, then, read, count }: Commit, maxValueBytes: number): void {
  const keys = then.length > 1 ? new Set<string>() : undefined;
  for (const condition of when) checkKey((condition satisfies Condition).key);
  for (const mutation of then) {
    const key = keyOf(mutation);
    checkKey(key);
    if (keys?.has(key))
      throw invalid(`A commit must have one mutation for a key, not two for ${JSON.stringify(key)}`);
    keys?.add(key);
    if ('put' in mutation && mutation.value.byteLength > maxValueBytes) {
      throw new SyncError(
        'value-too-large',
        `The value for ${JSON.stringify(key)} has ${mutation.value.byteLength} bytes; the limit is ${maxValueBytes}.`,
        REFUSED,
      );
    }
  }
  if (read !== undefined) checkScope(read);
  if (count !== undefined) checkScope({ prefix: count });
  const operations = then.length + (read === undefined && count === undefined ? 0 : 1);
  if (when.length > MAX_OPERATIONS || operations > MAX_OPERATIONS) {
    throw invalid(`A commit must have at most ${MAX_OPERATIONS} conditions and ${MAX_OPERATIONS} operations`);
  }
}

export function checkTtl(ttl: number, { min, max }: BackendTraits['ttl']): void {
  if (!(ttl >= min && ttl <= max)) throw invalid(`\`ttl\` must be ${min} to ${max} ms, not ${ttl}`);
}

export function checkWait(wait: number | undefined): void {
  if (wait !== undefined && !(wait >= 0))
    throw invalid(`\`wait\` must be 0 or more milliseconds, not ${wait}`);
}

export function keyOf(mutation: Mutation): string {
  return 'put' in mutation ? mutation.put : mutation.remove;
}

function checkBytes(text: string): void {
  if (text.includes('\0')) throw new SyncError('invalid-key', 'A key must not contain NUL.', REFUSED);
  if (!text.isWellFormed()) {
    throw new SyncError(
      'invalid-key',
      'A key must not contain a lone surrogate, which UTF-8 cannot express.',
      REFUSED,
    );
  }
}

function invalid(problem: string): SyncError {
  return new SyncError('invalid-option', `${problem}.`, REFUSED);
}
