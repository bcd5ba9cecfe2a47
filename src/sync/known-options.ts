/** All the names that an object of options may have: a table that the compiler keeps complete. */
export type Names<T> = Readonly<Record<keyof T & string, true>>;

/** More changes of a letter than these, and it was another word that was meant. */
const MOST_CHANGES = 2;

/**
 * What is wrong with a name that is not one of these, as the name and the rest of the sentence; or nothing. An option that is
 * ignored is a mistake that nobody hears of.
 *
 * @param elsewhere names that are right in another place, such as `session.ttl`.
 */
export function unknownOption<T>(
  options: object,
  names: Names<T>,
  elsewhere: readonly string[] = [],
): readonly [name: string, problem: string] | undefined {
  for (const name in options) {
    if (Object.hasOwn(names, name) || (options as Record<string, unknown>)[name] === undefined) continue;
    const known = Object.keys(names);
    const meant = nearest(name, [...known, ...elsewhere]);
    const hint =
      meant === undefined
        ? `known are ${known.map((each) => `"${each}"`).join(', ')}`
        : `did you mean "${meant}"?`;
    return [name, `is unknown: ${hint}`];
  }
  return undefined;
}

function nearest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MOST_CHANGES, Math.ceil(name.length / 2)) + 1;
  for (const candidate of names) {
    const last = candidate.slice(candidate.lastIndexOf('.') + 1);
    const cost = distance(name.toLowerCase(), last.toLowerCase());
    if (cost >= least) continue;
    least = cost;
    best = candidate;
  }
  return best;
}

/** How many letters have to be put in, taken out or changed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(
        Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + Number(letter !== other)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
