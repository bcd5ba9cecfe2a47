import type { Commit, CommitResult, Scope, StoredRecord } from '../../contract/backend.ts';
import type { Row } from './database.ts';
import { placesOf, queueOf, sqlScope } from './scope.ts';

/** In which form a commit goes to the database: the first two are what locks are made of. */
export type Form =
  | {
      readonly form: 'enter';
      readonly key: string;
      readonly queue: string;
      readonly value: string;
      readonly session: string;
    }
  | { readonly form: 'leave'; readonly key: string; readonly queue: string; readonly revision: string }
  /** Changes nothing. */
  | { readonly form: 'check'; readonly json: string }
  | { readonly form: 'any'; readonly json: string };

/** @param isOurs whether a session is one of this client. */
export function formOf(commit: Commit, isOurs: (session: string) => boolean): Form {
  const { when, then, read, count } = commit;
  const [condition] = when;
  const [mutation] = then;
  const isLone = when.length === 1 && then.length === 1 && read === undefined;
  if (isLone && condition !== undefined && mutation !== undefined) {
    const { key } = condition;
    const queue = queueOf(key);
    if (
      queue !== undefined &&
      condition.is === 'absent' &&
      mutation.put === key &&
      mutation.session !== undefined &&
      count === queue
    ) {
      return { form: 'enter', key, queue, value: hex(mutation.value), session: mutation.session };
    }
    if (
      queue !== undefined &&
      condition.revision !== undefined &&
      mutation.remove === key &&
      count === undefined &&
      isOurs(key.slice(queue.length))
    ) {
      return { form: 'leave', key, queue, revision: String(condition.revision) };
    }
  }
  return { form: then.length === 0 ? 'check' : 'any', json: JSON.stringify(sqlCommit(commit)) };
}

/** Characters that it adds to a statement, its value among them. */
export function sizeOf(form: Form): number {
  if ('json' in form) return form.json.length;
  // The key goes with its queue and with the directories that it lies in.
  return 64 + 4 * form.key.length + ('value' in form ? form.value.length : 0);
}

export function sqlCommit({ when, then, read, count }: Commit): object {
  return {
    when: when.map((condition) =>
      condition.revision === undefined ? condition : { ...condition, revision: String(condition.revision) },
    ),
    then: then.map((mutation) =>
      mutation.put === undefined
        ? { key: mutation.remove }
        : {
            key: mutation.put,
            value: hex(mutation.value),
            ...(mutation.session !== undefined && { session: mutation.session }),
          },
    ),
    ...(read !== undefined && { read: sqlScope(read) }),
    ...(count !== undefined && { count: sqlScope({ prefix: count }) }),
    places: [...new Set(then.flatMap((mutation) => placesOf(mutation.put ?? mutation.remove)))],
  };
}

/** What `commit_1` and `check_1` say of one. */
export interface Said {
  readonly ok?: boolean;
  readonly why?: 'conflict' | 'session-gone';
  readonly revision?: string;
  readonly read?: readonly {
    key: string;
    value: string;
    session?: string | null;
    created: string;
    revision: string;
  }[];
  readonly count?: number;
  /** Sessions past their time whose records were in the way. */
  readonly dead?: readonly string[] | null;
}

export function resultOf({ ok, why, revision, read, count }: Said): CommitResult {
  const seen = read === undefined ? {} : { read: read.map(recordOf) };
  if (ok !== true) return { ok: false, why: why ?? 'conflict', ...seen };
  return {
    ok: true,
    revision: BigInt(revision ?? 0),
    ...seen,
    ...(count !== undefined && { count }),
  } as CommitResult;
}

export function recordOf(row: Row | NonNullable<Said['read']>[number]): StoredRecord {
  const { key, value, session, created, revision } = row as Record<string, string | null | undefined>;
  return {
    key: key as string,
    value: bytesOf(value as string),
    session: session ?? undefined,
    created: BigInt(created as string),
    revision: BigInt(revision as string),
  };
}

/** As it comes from the database. */
export function rowOf({ key, value, session, created, revision }: StoredRecord): Row {
  const numbers = { created: String(created), revision: String(revision) };
  return { key, value: hex(value), session: session ?? null, ...numbers };
}

/** The arrays that `look_1` takes. */
export function scopeArrays(scopes: readonly Scope[]): unknown[] {
  const all = scopes.map((scope) => sqlScope(scope, 1));
  return [
    all.map(({ key }) => key ?? null),
    all.map(({ low }) => low ?? null),
    all.map(({ high }) => high ?? null),
    all.map(({ queue }) => queue ?? null),
    all.map(({ limit }) => limit ?? null),
    all.map(({ before }) => before ?? null),
  ];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}
