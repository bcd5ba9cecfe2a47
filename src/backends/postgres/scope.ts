import type { Scope } from '../../contract/backend.ts';

const QUEUE = '/.lock/';

/** The queue that a key stands in. */
export function queueOf(key: string): string | undefined {
  const at = key.indexOf(QUEUE);
  return at < 0 ? undefined : key.slice(0, at + QUEUE.length);
}

/** All directories that a name lies in, the innermost first, and itself. */
export function placesOf(name: string): string[] {
  const places = [name];
  for (let end = name.length; end > 0; ) {
    end = name.lastIndexOf('/', end - 2) + 1;
    places.push(name.slice(0, end));
  }
  return places;
}

/** What an interest in a scope is filed under: its key, or the innermost directory that all of it lies in. */
export function placeOf(scope: Scope): string {
  return scope.key ?? scope.prefix.slice(0, scope.prefix.lastIndexOf('/') + 1);
}

/** As `show_1` takes it. */
export interface SqlScope {
  readonly key?: string;
  readonly low?: string;
  readonly high?: string;
  readonly queue?: string;
  readonly limit?: number;
  readonly before?: string;
}

export function sqlScope(scope: Scope, more = 0): SqlScope {
  if (scope.key !== undefined) return { key: scope.key };
  const { prefix, oldest, youngest } = scope;
  const high = after(prefix);
  const limit = oldest ?? youngest;
  return {
    low: prefix,
    ...(high !== undefined && { high }),
    ...(queueOf(prefix) === prefix && { queue: prefix }),
    ...(limit !== undefined && { limit: limit + more }),
    ...(scope.youngest !== undefined && { before: String(scope.before) }),
  };
}

/** The first name by code point that comes after all that begin so, if there is one. */
function after(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) as number;
    if (point === 0x10ffff) continue;
    // Surrogates are no characters.
    return points.join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
  }
  return undefined;
}
