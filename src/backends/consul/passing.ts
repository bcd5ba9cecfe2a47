import type { Condition, Mutation } from '../../sync/backend.ts';
import type { Known } from './operation.ts';

/*
 * A record that passes from one session to another. Consul refuses to `lock` what another session owns: that one has to
 * be unlocked before, in the same transaction, and so it must be known.
 */

/** Whether the mutation takes the record from the session that the condition names. */
export function passesFrom(condition: Condition, mutation: Mutation): boolean {
  return (
    'session' in condition &&
    'put' in mutation &&
    mutation.session !== undefined &&
    condition.key === mutation.put &&
    condition.session !== mutation.session
  );
}

/** Whether it may take another session's record that the commit only knows by its revision. */
export function isDoubtful(mutation: Mutation, when: readonly Condition[]): boolean {
  if (!('put' in mutation) || mutation.session === undefined) return false;
  const about = when.filter(({ key }) => key === mutation.put);
  return about.some((each) => 'revision' in each) && !about.some((each) => 'session' in each);
}

/** Who has to be unlocked first: to `lock` what another session owns is refused. */
export function ownerBefore(
  mutation: Mutation,
  when: readonly Condition[],
  known: Known,
): string | undefined {
  if (!('put' in mutation) || mutation.session === undefined) return undefined;
  for (const condition of when) {
    if ('session' in condition && passesFrom(condition, mutation)) return condition.session;
  }
  if (known.size === 0 || !isDoubtful(mutation, when)) return undefined;
  const owner = known.get(mutation.put)?.session;
  return owner === mutation.session ? undefined : owner;
}
