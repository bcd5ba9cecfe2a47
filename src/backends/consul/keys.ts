/** In bytes of UTF-8. Percent-encoded three times as long in a URL, which Go's and most proxies' limits still take. */
const LONGEST_KEY = 4_096;

/**
 * What a URL path does not carry as it is. Consul's router cleans empty, `.` and `..` segments away by a redirect, which
 * for a crafted name leads to another API; it answers 400 to control characters; and Go replaces a lone surrogate.
 */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'must not be empty';
  // With the `u` flag a surrogate matches only when it stands alone.
  if (/\p{Surrogate}/u.test(key)) return 'has a lone surrogate, which UTF-8 cannot express';
  if (/\p{Cc}/u.test(key)) return 'has a control character';
  if (Buffer.byteLength(key) > LONGEST_KEY) return `is longer than ${LONGEST_KEY} bytes`;
  if (key.startsWith('/')) return 'must not begin with a slash';
  if (key.includes('//')) return 'has an empty segment';
  if (/(^|\/)\.{1,2}(\/|$)/.test(key)) return 'has a segment "." or ".."';
  return undefined;
}

/** The same for a prefix, whose last segment may be cut off anywhere. */
export function prefixProblem(prefix: string): string | undefined {
  return keyProblem(prefix === '' ? prefix : `${prefix}x`);
}

/**
 * The longest beginning that a URL path carries: Consul answers 400 to what Go's `unicode.IsPrint` does not know, such as
 * the joiner within an emoji, and a prefix may be cut anywhere, also within a character or before dots.
 */
export function carryable(text: string): string {
  const unprintable = text.search(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
  const printable = unprintable < 0 ? text : text.slice(0, unprintable);
  return printable.replace(/(^|\/)\.{1,2}$/, '$1');
}

/** What every version of Go knows, whatever it was told about Unicode. */
export function asciiPartOf(text: string): string {
  return carryable(/^[ -~]*/.exec(text)?.[0] ?? '');
}

/**
 * What Consul 1.21.5 takes in a path; to all else it answers 500 (hashicorp/consul#22682). Later versions only refuse what
 * could lead elsewhere, and spaces at the ends.
 */
export function plainPartOf(text: string): string {
  return carryable(/^[a-zA-Z0-9,_./\-?&=]*/.exec(text)?.[0] ?? '');
}

export function encodePath(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}
