import {
  type BackendTraits,
  type Commit,
  REFUSED,
  type Scope,
  type SessionOptions,
  SyncError,
} from '../../sync/backend.ts';

/** What the store would not take is refused here, before anything is asked of it. */

export function checkKey(key: string): void {
  if (key === '') throw new SyncError('invalid-key', 'A key must not be empty.', REFUSED);
  if (key.includes('\0')) throw new SyncError('invalid-key', 'A key must not contain NUL.', REFUSED);
  // With the `u` flag a surrogate matches only when it stands alone.
  if (/\p{Surrogate}/u.test(key)) {
    throw new SyncError(
      'invalid-key',
      'A key must not contain a lone surrogate, which UTF-8 cannot express.',
      REFUSED,
    );
  }
}

export function checkScope(scope: Scope): void {
  checkKey('key' in scope ? scope.key : scope.prefix);
  if ('oldest' in scope) checkCount('oldest', scope.oldest);
  if ('youngest' in scope) checkCount('youngest', scope.youngest);
}

function checkCount(name: string, count: number): void {
  if (Number.isSafeInteger(count) && count > 0) return;
  throw new SyncError('invalid-option', `\`${name}\` must be a whole number above 0, not ${count}.`, REFUSED);
}

export function checkCommit(commit: Commit, maxValueBytes: number): void {
  const keys = new Set<string>();
  for (const { key } of commit.when) checkKey(key);
  for (const mutation of commit.then) {
    const key = 'put' in mutation ? mutation.put : mutation.remove;
    checkKey(key);
    if (keys.has(key)) {
      const message = `A commit must not have two mutations for one key, here ${JSON.stringify(key)}.`;
      throw new SyncError('invalid-option', message, REFUSED);
    }
    keys.add(key);
    if ('put' in mutation && mutation.value.byteLength > maxValueBytes) {
      const message = `The value for ${JSON.stringify(key)} has ${mutation.value.byteLength} bytes; the limit is ${maxValueBytes}.`;
      throw new SyncError('value-too-large', message, REFUSED);
    }
  }
  if (commit.read !== undefined) checkScope(commit.read);
  if (commit.count !== undefined) checkScope({ prefix: commit.count });
}

export function checkSession({ ttl, lockDelay }: SessionOptions, traits: BackendTraits): void {
  if (!(ttl >= traits.ttl.min && ttl <= traits.ttl.max)) {
    const message = `\`ttl\` must be ${traits.ttl.min} to ${traits.ttl.max} ms, not ${ttl}.`;
    throw new SyncError('invalid-option', message, REFUSED);
  }
  if (traits.maxLockDelay > 0 && !(lockDelay >= 0 && lockDelay <= traits.maxLockDelay)) {
    const message = `\`lockDelay\` must be 0 to ${traits.maxLockDelay} ms, not ${lockDelay}.`;
    throw new SyncError('invalid-option', message, REFUSED);
  }
}

export function checkWait(wait: number | undefined): void {
  if (wait !== undefined && !(wait >= 0)) {
    throw new SyncError('invalid-option', `\`wait\` must be 0 or more milliseconds, not ${wait}.`, REFUSED);
  }
}
