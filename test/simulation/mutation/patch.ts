import { placesNamed } from './places.ts';

/** One fact of the library turned into a mistake: what to put in the place of what, in one function of one file. */
export interface Patch {
  /** Below `src/`. */
  readonly file: string;
  /** The function, member or constant it is in, such as `#handOn`; with its class, where there are more of that name. */
  readonly in: string;
  /**
   * What is there now, once. Of code only the tokens count: white space, line breaks and trailing commas are the
   * formatter's. A pattern is taken as it is.
   */
  readonly find: string | RegExp;
  /** As of `String.replace`: `$&` is what was there, `$1` the pattern's first group. */
  readonly put: string;
}

/** The known mistakes of one system, by name. Some take more than one change: what else would have caught them. */
export type Mutants = Readonly<Record<string, readonly Patch[]>>;

/** The text with the mistake in it. Throws, and says what is there instead, unless the patch fits exactly once. */
export function patched(text: string, { file, in: name, find, put }: Patch): string {
  const places = placesNamed(text, name);
  const [place] = places;
  if (place === undefined) throw new Error(`${file}: there is no ${name}`);
  if (places.length > 1) {
    throw new Error(`${file}: ${name} may be any of ${places.map((each) => each.name).join(', ')}`);
  }
  const body = text.slice(place.start, place.end);
  const pattern = typeof find === 'string' ? codePattern(find) : new RegExp(find, `${find.flags}g`);
  const count = [...body.matchAll(pattern)].length;
  if (count !== 1) throw new Error(`${file}: ${count} times in ${place.name}: ${find}\n${body}`);
  return text.slice(0, place.start) + body.replace(pattern, put) + text.slice(place.end);
}

/** Words, strings, and marks one by one. */
const TOKEN = /[\w$#]+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\S/g;
const WORD = /^[\w$#]/;

/** Fits the same code, however it is laid out. */
function codePattern(code: string): RegExp {
  const found = code.match(TOKEN) ?? [];
  const parts = found.map((token, index) => {
    const before = found[index - 1];
    const literal = token.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    if (before === undefined) return WORD.test(token) ? `(?<![\\w$#])${literal}` : literal;
    const gap = WORD.test(token) && WORD.test(before) ? '\\s+' : '\\s*';
    const comma = /^[)\]}]$/.test(token) && before !== ',' ? '(?:,\\s*)?' : '';
    return gap + comma + literal;
  });
  const end = WORD.test(found.at(-1) ?? '') ? '(?![\\w$])' : '';
  return new RegExp(parts.join('') + end, 'g');
}
