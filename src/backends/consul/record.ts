import type { StoredRecord } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';

/** `api.LockFlagValue` of Consul's Go client, also used by `consul lock`. */
export const GO_LOCK_FLAGS = 0x2ddccbc058a50c18n;
/** `api.SemaphoreFlagValue` of Consul's Go client. */
const SEMAPHORE_FLAGS = 0xe0f69a2baa414de0n;
/** The `dsync` package of go-lanai. */
const LANAI_FLAGS = 0x275f2b610e0c3019n;

/** A key-value pair as Consul tells it. */
export interface Entry {
  readonly key: string;
  /** Base64; `undefined` for an empty value, and in the answers to most verbs of a transaction. */
  readonly value: string | undefined;
  readonly flags: bigint;
  readonly session: string | undefined;
  readonly created: bigint;
  readonly modified: bigint;
}

/**
 * Flags are any unsigned 64-bit number, and indexes may be: JSON.parse would round them. Between raw quotes directly
 * before a colon these names can only be members, because a quote inside a JSON string is always escaped.
 */
const EXACT_NUMBERS = /"(Flags|LockIndex|CreateIndex|ModifyIndex)":\s*(\d+)/g;

/** Throws where the body is no JSON. */
export function parseExact(body: Buffer): unknown {
  return JSON.parse(body.toString('utf8').replace(EXACT_NUMBERS, '"$1":"$2"'));
}

/** Throws a `SyncError` `bad-response` when it is none. */
export function entryOf(value: unknown): Entry {
  const { Key, Value, Flags, Session, CreateIndex, ModifyIndex } = (value ?? {}) as Record<string, unknown>;
  if (typeof Key !== 'string' || !isNumeral(Flags) || !isNumeral(CreateIndex) || !isNumeral(ModifyIndex)) {
    throw new SyncError('bad-response', 'what came back is not a key-value pair of Consul');
  }
  return {
    key: Key,
    value: typeof Value === 'string' ? Value : undefined,
    flags: BigInt(Flags),
    session: typeof Session === 'string' && Session !== '' ? Session : undefined,
    created: BigInt(CreateIndex),
    modified: BigInt(ModifyIndex),
  };
}

export function recordOf(entry: Entry, lockFlags: bigint): StoredRecord {
  const record = {
    key: entry.key,
    value: new Uint8Array(Buffer.from(entry.value ?? '', 'base64')),
    session: entry.session,
    created: entry.created,
    revision: entry.modified,
  };
  return entry.flags === lockFlags ? record : { ...record, foreign: kindOf(entry.flags) };
}

function kindOf(flags: bigint): string {
  switch (flags) {
    case 0n:
      return 'a plain value (flags 0)';
    case GO_LOCK_FLAGS:
      return "a lock of Consul's Go client";
    case SEMAPHORE_FLAGS:
      return 'a record of a Consul semaphore';
    case LANAI_FLAGS:
      return 'a lock of go-lanai dsync';
    default:
      return `a record with flags 0x${flags.toString(16)}`;
  }
}

function isNumeral(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,20}$/.test(value);
}
