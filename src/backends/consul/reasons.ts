/** Why a transaction was not applied, by the texts of Consul's error list (measured on 1.8.7). */
export type Reason =
  | { readonly why: 'session-gone' | 'delayed' | 'conflict' | 'outdated' }
  | { readonly why: 'denied' | 'rejected'; readonly text: string };

/** An operation that failed, by its index. */
export interface Refusal {
  readonly index: number;
  readonly text: string;
}

const DELAYED = /^failed to lock key .* due to lock delay$/;
const SESSION_GONE = /^invalid session\b/;
const DENIED = /^(?:Permission denied|ACL not found)/i;
const UNMET = [
  /^failed (?:index|session) check for key/,
  /^failed to check (?:index|session), key/,
  /^key .*(?:exists|doesn't exist)$/,
  /^failed to lock key .* lock is already held$/,
];

/**
 * Each operation that failed says why. A session that is gone comes first, because no other answer is of use to its
 * owner. When only guesses failed, what was read before is outdated.
 */
export function reasonOf(refusals: readonly Refusal[], guesses: ReadonlySet<number>): Reason {
  const is = (pattern: RegExp) => refusals.some(({ text }) => pattern.test(withoutQuotes(text)));
  const denied = refusals.find(({ text }) => DENIED.test(text));
  if (denied !== undefined) return { why: 'denied', text: denied.text };
  if (is(SESSION_GONE)) return { why: 'session-gone' };
  if (is(DELAYED)) return { why: 'delayed' };
  const strange = refusals.find(({ text }) => !UNMET.some((pattern) => pattern.test(withoutQuotes(text))));
  if (strange !== undefined) return { why: 'rejected', text: strange.text };
  if (refusals.length === 0) return { why: 'rejected', text: 'without a reason' };
  return { why: refusals.every(({ index }) => guesses.has(index)) ? 'outdated' : 'conflict' };
}

/** Keys are quoted in the texts, and must not be able to look like a reason. */
function withoutQuotes(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
}

/** Every operation that failed, by its index. */
export function refusalsIn(parsed: unknown): Refusal[] {
  const { Errors } = (parsed ?? {}) as { readonly Errors?: unknown };
  if (!Array.isArray(Errors)) return [];
  return Errors.map((error) => {
    const { OpIndex, What } = (error ?? {}) as { readonly OpIndex?: unknown; readonly What?: unknown };
    return { index: Number(OpIndex ?? -1), text: String(What ?? '') };
  });
}
