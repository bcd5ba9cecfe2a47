import { SettleOnce } from '../../async/settle-once.ts';
import type { Backend, Commit, CommitResult, CommittedWithin } from '../../contract/backend.ts';
import { OVER } from '../../contract/errors.ts';
import { invalid } from '../../contract/options.ts';
import type { CallersHost } from './callers-host.ts';
import type { Grant } from './grant.ts';

type Host = Pick<CallersHost, 'backend' | 'clock' | 'context'>;

/** Refused before any I/O where a transaction of the user's cannot be joined. */
export function checkWithin({ traits, commitWithin }: Backend): void {
  if (commitWithin !== undefined) return;
  throw invalid('in', `is a transaction, and the backend "${traits.name}" knows none of the user's`);
}

/** A commit within a transaction of the user's. Grants whose proof it took are not given back before that is over. */
export async function commitWithin(
  checked: Commit,
  transaction: unknown,
  grants: readonly Grant[],
  host: Host,
): Promise<CommitResult> {
  const { backend, clock, context } = host;
  checkWithin(backend);
  const committed = (await backend.commitWithin?.(transaction, checked)) as CommittedWithin;
  const { result } = committed;
  // Nothing rests on a proof that was refused.
  if (!result.ok) return result;
  // Whoever gives the grant back may be about other work.
  const isOver = (ms: number): Promise<boolean> => context.run(() => endedWithin(committed, clock, ms));
  for (const grant of grants) grant.guardUntil(isOver);
  return result;
}

/** Whether the transaction is over after so many milliseconds at the latest. Never rejects. */
function endedWithin(committed: CommittedWithin, clock: Host['clock'], ms: number): Promise<boolean> {
  const over = new SettleOnce<boolean>();
  const controller = new AbortController();
  over.after(clock, ms, () => over.resolve(false)).finally(() => controller.abort(OVER));
  committed.ended(controller.signal).then(
    () => over.resolve(true),
    () => over.resolve(false),
  );
  return over.promise;
}
