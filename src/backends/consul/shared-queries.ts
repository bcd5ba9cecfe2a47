import { carryable } from './keys.ts';
import type { Target } from './scope.ts';

/** One blocking query, and whom it serves. */
export interface SharedQuery {
  readonly query: Target;
  readonly members: readonly Target[];
}

/** Targets that are neighbours in order, and the number of characters they all begin with. */
interface Range {
  readonly targets: readonly Target[];
  readonly depth: number;
}

export function idOf({ text, tree }: Target): string {
  return (tree ? 'tree:' : 'key:') + text;
}

/**
 * Covers targets by at most `budget` queries, each as narrow as that allows: Consul limits the connections of a client,
 * so not every key can have a query of its own, and a query on a prefix reads all that is below it.
 *
 * The targets form a trie by their characters. Starting with one group of all, the largest group that can be is split
 * into its branches until no split fits the budget. A group of one is a query on the target itself, the others on what
 * their members have in common. Pure: the same targets give the same groups in the same order.
 */
export function sharedQueries(targets: readonly Target[], budget: number): SharedQuery[] {
  const unique = [...new Map(targets.map((target) => [idOf(target), target])).values()];
  if (unique.length === 0) return [];
  const sorted = unique.toSorted((a, b) =>
    a.text === b.text ? Number(a.tree) - Number(b.tree) : compare(a, b),
  );
  const final: Range[] = [];
  const open = [rangeOf(sorted)];
  while (open.length > 0) {
    open.sort((a, b) => a.targets.length - b.targets.length);
    const range = open.pop();
    if (range === undefined) break;
    const branches = branchesOf(range);
    const fits = final.length + open.length + branches.length <= budget;
    if (branches.length > 1 && fits) open.push(...branches);
    else final.push(range);
  }
  return merge(final).toSorted((a, b) => compare(a.query, b.query));
}

function branchesOf({ targets, depth }: Range): Range[] {
  // Who waits for the whole prefix reads it anyway, and the others with it.
  if (targets.some(({ text, tree }) => tree && text.length === depth)) return [];
  const branches = new Map<string, Target[]>();
  for (const target of targets) {
    const next = target.text.charAt(depth);
    const branch = branches.get(next);
    if (branch === undefined) branches.set(next, [target]);
    else branch.push(target);
  }
  return [...branches.values()].map(rangeOf);
}

/** Of sorted targets the first and the last differ most. */
function rangeOf(targets: readonly Target[]): Range {
  const first = targets[0]?.text ?? '';
  const last = targets.at(-1)?.text ?? '';
  let depth = 0;
  while (depth < first.length && first[depth] === last[depth]) depth++;
  return { targets, depth };
}

/** Prefixes that a URL cannot carry are shortened, and may then be the same. */
function merge(ranges: readonly Range[]): SharedQuery[] {
  const groups = new Map<string, { query: Target; members: Target[] }>();
  for (const { targets, depth } of ranges) {
    const [only] = targets;
    if (only === undefined) continue;
    const text = targets.length === 1 && !only.tree ? only.text : carryable(only.text.slice(0, depth));
    const query = { text, tree: targets.length > 1 || only.tree };
    const group = groups.get(idOf(query));
    if (group === undefined) groups.set(idOf(query), { query, members: [...targets] });
    else group.members.push(...targets);
  }
  return [...groups.values()];
}

/** By UTF-16 code units, in which the trie is built. */
function compare(a: Target, b: Target): number {
  return a.text < b.text ? -1 : Number(a.text > b.text);
}
