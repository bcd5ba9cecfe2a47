import { type Flaw, sqlServer } from '../sql/index.ts';
import type { Mutant } from './mutant.ts';

const counted =
  'of two clients that enter one queue at once exactly one counts itself alone, and revisions follow the counts';
const appears = 'once a record was seen in a queue that is counted, none appears that was created before it';
const leaves = 'who enters a queue while its holder leaves counts itself alone or is told';
const skew = 'of two commits that each write what the other one requires to be absent one is applied at most';
const after =
  'a commit sent after the answer to another has the larger revision, whoever sent it, whatever it is about';
const left = 'a put and the close of its session at once leave nothing that is owned';
const past =
  'a session that is past its time is gone though nobody has looked, and a renewal does not revive it';
const hidden = 'a read hides no record while a renewal of its session may still come through';
const told = 'who waits is told of a change when it can be read, whatever steps it is made in';
const looks = 'who looks and then waits is told of what changes at any step of it';

const caught: readonly [Flaw, readonly string[]][] = [
  ['no queue locks', [counted, leaves, skew]],
  ['release without the lock of its queue', [leaves]],
  ['no session locks', [left]],
  ['renewals revive', [past]],
  ['revisions drawn before the locks', [counted, appears]],
  ['revisions drawn in blocks', [after]],
  ['counted apart', [counted]],
  ['reads hide what is past its time', [hidden]],
  ['told before it can be read', [told]],
  ['listening after the read', [looks]],
];

/** What one may get wrong with a database whose transactions are of several statements. */
export const sqlMutants: readonly Mutant[] = caught.map(([flaw, caughtBy]) => ({
  name: `sql: ${flaw}`,
  caughtBy,
  server: () => sqlServer(flaw).open,
  right: () => sqlServer().open,
}));
