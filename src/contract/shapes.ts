/**
 * What is wrong with the shape of a part of a commit, for callers whom no compiler held to the types. A part that could be
 * read in two ways is refused: whatever was done with it would be the half of what was asked for.
 */

type Members = Readonly<Record<string, unknown>>;

/** Of a condition, its key aside; `undefined` when it is right. */
export function conditionProblem(condition: unknown): string | undefined {
  if (!isObject(condition)) return 'must be an object';
  const { is, revision, session } = condition;
  if (given(is) + given(revision) + given(session) !== 1) return notOne({ is, revision, session });
  if (is !== undefined && is !== 'absent' && is !== 'unowned') {
    return `has an \`is\` of ${shown(is)}: it must be "absent" or "unowned"`;
  }
  if (revision !== undefined && typeof revision !== 'bigint') {
    return `has a \`revision\` of ${shown(revision)}: it must be a bigint`;
  }
  if (session !== undefined && typeof session !== 'string') {
    return `has a \`session\` of ${shown(session)}: it must be a string`;
  }
  return undefined;
}

/** Of a mutation, its key and its value aside. */
export function mutationProblem(mutation: unknown): string | undefined {
  if (!isObject(mutation)) return 'must be an object';
  const { put, remove, value, session } = mutation;
  if (given(put) + given(remove) !== 1) return notOne({ put, remove });
  if (remove === undefined || given(value) + given(session) === 0) return undefined;
  return beside('remove', { value, session });
}

/** Of a scope, its key or prefix aside. */
export function scopeProblem(scope: unknown): string | undefined {
  if (!isObject(scope)) return 'must be an object';
  const { key, prefix, oldest, youngest, before } = scope;
  if (given(key) + given(prefix) !== 1) return notOne({ key, prefix });
  if (key !== undefined) return beside('key', { oldest, youngest, before });
  if (oldest !== undefined) return beside('oldest', { youngest, before }) ?? countProblem('oldest', oldest);
  if (youngest === undefined) return before === undefined ? undefined : 'has `before` without `youngest`';
  if (typeof before !== 'bigint')
    return 'has `youngest` without the revision `before`, which must be a bigint';
  return countProblem('youngest', youngest);
}

function countProblem(name: string, count: unknown): string | undefined {
  if (Number.isSafeInteger(count) && (count as number) > 0) return undefined;
  return `has an \`${name}\` of ${shown(count)}: it must be a whole number above 0`;
}

function given(member: unknown): 0 | 1 {
  return member === undefined ? 0 : 1;
}

function notOne(members: Members): string {
  const names = Object.keys(members);
  const found = names.filter((name) => members[name] !== undefined);
  return `must have one of ${listed(names)}, and has ${found.length === 0 ? 'none' : listed(found)}`;
}

function beside(name: string, others: Members): string | undefined {
  for (const other in others) {
    if (others[other] !== undefined) return `must not have \`${other}\` beside \`${name}\``;
  }
  return undefined;
}

function listed(names: readonly string[]): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop();
  return quoted.length === 0 ? String(last) : `${quoted.join(', ')} and ${last}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}
