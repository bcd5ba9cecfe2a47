import { type Entry, entryOf } from './record.ts';

/** The records that a transaction tells of, in order. `undefined` where this is no answer to one. */
export function resultsIn(parsed: unknown): Entry[] | undefined {
  return listIn(parsed)?.map((result) => entryOf(pairIn(result)));
}

/**
 * The index of each of them, where nothing else of them is needed. `undefined` where it takes an exact look to tell: a
 * number of more than 53 bits is rounded here, and comes out as one that is not safe.
 */
export function indexesIn(body: Buffer): bigint[] | undefined {
  let list: readonly unknown[] | undefined;
  try {
    list = listIn(JSON.parse(body.toString('utf8')));
  } catch {
    return undefined;
  }
  if (list === undefined) return undefined;
  const indexes: bigint[] = [];
  for (const result of list) {
    const { Key, Flags, CreateIndex, ModifyIndex } = (pairIn(result) ?? {}) as Record<string, unknown>;
    if (typeof Key !== 'string' || typeof Flags !== 'number') return undefined;
    if (!isIndex(CreateIndex) || !isIndex(ModifyIndex)) return undefined;
    indexes.push(BigInt(ModifyIndex));
  }
  return indexes;
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function listIn(parsed: unknown): readonly unknown[] | undefined {
  const { Results } = (parsed ?? {}) as { readonly Results?: unknown };
  // Go tells an empty list as null in some versions.
  if (Results === null) return [];
  return Array.isArray(Results) ? Results : undefined;
}

function pairIn(result: unknown): unknown {
  return (result as { readonly KV?: unknown } | null)?.KV;
}
