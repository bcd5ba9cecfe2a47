import { keyProblem } from '../../contract/keys.ts';
import { invalid } from '../../contract/options.ts';
import { hasLockSegment } from '../callers/protected-keys.ts';

interface KeyOptions {
  readonly name: string;
  readonly prefix?: string | undefined;
  readonly leadershipKey?: string | undefined;
}

/** Where a manager's keys are. Throws `invalid-option`. */
export function checkKeyOptions({
  name,
  prefix: given = '',
  leadershipKey = `service/${name}/leadership`,
}: KeyOptions): { prefix: string; leadershipKey: string } {
  // As a folder is often written.
  const prefix = typeof given === 'string' ? given.replace(/(?<=.)\/$/, '') : given;
  const ofPrefix = prefix === '' ? undefined : problemWith(prefix);
  if (ofPrefix !== undefined) throw invalid('prefix', ofPrefix);
  const ofKey = problemWith(leadershipKey);
  if (ofKey !== undefined) throw invalid('leadershipKey', ofKey);
  const together = prefix === '' ? undefined : keyProblem(`${prefix}/${leadershipKey}`);
  if (together !== undefined) throw invalid('prefix', `is too long: the leadership key ${together}`);
  return { prefix, leadershipKey };
}

function problemWith(key: string): string | undefined {
  return (
    keyProblem(key) ??
    (hasLockSegment(key) ? 'has the segment ".lock", under which locks are kept' : undefined)
  );
}
