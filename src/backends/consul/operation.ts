import type { Condition, Mutation, Revision } from '../../contract/backend.ts';
import type { Entry } from './record.ts';

/** What must be known of a key before the transaction, because Consul has no condition that says it. */
export type Known = ReadonlyMap<string, Entry | undefined>;

/** One operation of a transaction, as JSON; and how many results it has, where that is certain. */
export interface Operation {
  readonly json: string;
  readonly results: 0 | 1;
  /** It only repeats what was read before: if it fails, the commit may still be possible. */
  readonly guess: boolean;
}

export function conditionOf(condition: Condition, known: Known): Operation {
  const { key } = condition;
  if (condition.revision !== undefined) return untouched(key, condition.revision);
  if (condition.session !== undefined) {
    return operation(`"check-session","Key":${json(key)},"Session":${json(condition.session)}`, 1);
  }
  if (condition.is === 'absent') return absent(key);
  const entry = known.get(key);
  return entry === undefined ? absent(key, true) : untouched(key, entry.modified, true);
}

/** Takes the value as it is now. */
export function mutationOf(mutation: Mutation, lockFlags: bigint): Operation {
  if (mutation.remove !== undefined) return operation(`"delete","Key":${json(mutation.remove)}`, 0);
  const { put: key, value, session } = mutation;
  const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return session === undefined
    ? operation(`"set","Key":${json(key)},"Value":"${base64}","Flags":0`, 1)
    : operation(
        `"lock","Key":${json(key)},"Value":"${base64}","Session":${json(session)},"Flags":${unsigned(lockFlags)}`,
        1,
      );
}

export function absent(key: string, guess = false): Operation {
  return operation(`"check-not-exists","Key":${json(key)}`, 0, guess);
}

export function got(key: string, guess: boolean): Operation {
  return operation(`"get","Key":${json(key)}`, 1, guess);
}

export function listed(prefix: string): Operation {
  return operation(`"get-tree","Key":${json(prefix)}`, 1);
}

/** Also beside a removal: `delete-cas` succeeds when the record is gone, which would say that it was untouched. */
function untouched(key: string, revision: Revision, guess = false): Operation {
  return operation(`"check-index","Key":${json(key)},"Index":${unsigned(revision)}`, 1, guess);
}

/** Written as text: `JSON.stringify` knows no number above 2^53 exactly, and walks an object for what is known here. */
function operation(fields: string, results: 0 | 1, guess = false): Operation {
  return { json: `{"KV":{"Verb":${fields}}}`, results, guess };
}

function json(text: string): string {
  return JSON.stringify(text);
}

function unsigned(number: bigint): bigint {
  return BigInt.asUintN(64, number);
}
