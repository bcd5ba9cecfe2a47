/** One thing wrong with it. */
export type Flaw =
  /** Who enters a queue and who changes it are not kept apart. */
  | 'no queue locks'
  /** A release takes no lock, so whoever just comes is not there to be told. */
  | 'release without the lock of its queue'
  /** Whether a session lives is looked at, and not made sure. */
  | 'no session locks'
  /** A renewal sets a new end, whatever the old one was. */
  | 'renewals revive'
  | 'revisions drawn before the locks'
  /** Each client takes many at a time, as from a sequence with a cache. */
  | 'revisions drawn in blocks'
  /** Counted once the commit is through, in a transaction of its own. */
  | 'counted apart'
  /** Records of sessions that are past their time are left out, though nobody has ended those. */
  | 'reads hide what is past its time'
  | 'told before it can be read'
  /** The place from where to listen is taken after the read. */
  | 'listening after the read';
