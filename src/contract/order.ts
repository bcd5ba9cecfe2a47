import type { StoredRecord } from './backend.ts';

type Placed = Pick<StoredRecord, 'key' | 'created'>;

/** The order of `oldest`. Records of one commit share a revision; the key then decides, so that every client sees one order. */
export function byCreation(a: Placed, b: Placed): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return compareKeys(a.key, b.key);
}

/** By code point, as stores that sort UTF-8 do: `<` goes by UTF-16 units, and has what is beyond U+FFFF before U+E000. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [one, other] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (one === other) continue;
    const [first, second] = [isSurrogate(one), isSurrogate(other)];
    return first === second ? one - other : Number(first) - Number(second);
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
