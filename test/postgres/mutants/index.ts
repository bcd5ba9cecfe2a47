import type { Mutant } from './mutant.ts';
import {
  buryWithoutWaiting,
  countTogether,
  leaveAndTell,
  leaveManyAndTell,
  leaveNothing,
  noRevival,
  noSkew,
  revisionsFollowCounts,
} from './rules.ts';

const counted =
  'of two clients that enter one queue at once exactly one counts itself alone, and revisions follow the counts';
const leaves = 'who enters a queue while its holder leaves counts itself alone or is told';
const left = 'a put and the close of its session at once leave nothing that is owned';
const hidden = 'a read hides no record while a renewal of its session may still come through';
const looks = 'who looks and then waits is told of what changes at any step of it';
const skew = 'of two commits that each write what the other one requires to be absent one is applied at most';

const LOCK_NAME = 'SELECT pg_catalog.hashtextextended(p_name, 7308604898)';
/** A lock that nobody else asks for. */
const OWN_LOCK = 'SELECT pg_catalog.pg_backend_pid()::bigint';

export const mutants: readonly Mutant[] = [
  { name: 'no advisory locks at all', replacements: [[LOCK_NAME, OWN_LOCK]], caughtBy: counted },
  {
    name: 'no advisory locks at all, for who is absent',
    replacements: [[LOCK_NAME, OWN_LOCK]],
    caughtBy: skew,
  },
  {
    name: 'no advisory locks at all, for many at a time',
    replacements: [[LOCK_NAME, OWN_LOCK]],
    caughtBy: countTogether,
  },
  {
    name: 'a put that does not hold its session',
    replacements: [
      ['ORDER BY id FOR KEY SHARE\n  ) live;\n  FOR v_key', 'ORDER BY id\n  ) live;\n  FOR v_key'],
    ],
    caughtBy: left,
  },
  {
    name: 'puts of many at a time that do not hold their sessions',
    replacements: [
      ['ORDER BY id FOR KEY SHARE\n  ) live;\n  FOR v_queue', 'ORDER BY id\n  ) live;\n  FOR v_queue'],
    ],
    caughtBy: leaveNothing,
  },
  {
    name: 'a close that looks at the records before it has the session',
    replacements: [
      ['PERFORM FROM sessions WHERE id = p_id FOR UPDATE;', 'PERFORM FROM sessions WHERE id = p_id;'],
    ],
    caughtBy: left,
  },
  {
    name: 'a renewal that revives who is past his time',
    replacements: [['WHERE id = p_id AND expires > clock_timestamp();', 'WHERE id = p_id;']],
    caughtBy: noRevival,
  },
  {
    name: 'a release without the lock of its queue',
    replacements: [
      [
        'RETURN false;\n  END IF;\n  PERFORM pg_advisory_xact_lock(lock_of_1(p_queue));',
        'RETURN false;\n  END IF;',
      ],
    ],
    caughtBy: leaveAndTell,
  },
  {
    name: 'releases of many at a time without the locks of their queues',
    replacements: [
      [
        `) gone;
  FOR v_queue IN SELECT DISTINCT lock_of_1(q) AS id FROM unnest(p_queues) AS q ORDER BY id LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;`,
        ') gone;',
      ],
    ],
    caughtBy: leaveManyAndTell,
  },
  {
    name: 'a revision drawn before the locks',
    replacements: [
      [
        `-- Also where it is about to go: to wait for that under the lock of the queue would be to wait for each other.`,
        `revision := nextval('revisions');`,
      ],
      [
        `SELECT p_key, p_value, p_session, n, n FROM nextval('revisions') AS n`,
        'SELECT p_key, p_value, p_session, enter_1.revision, enter_1.revision',
      ],
    ],
    caughtBy: revisionsFollowCounts,
  },
  {
    name: 'reads that hide what is past its time',
    replacements: [
      [
        'RETURN QUERY SELECT * FROM records WHERE key = p_key;',
        `RETURN QUERY SELECT * FROM records r WHERE key = p_key AND NOT EXISTS (
          SELECT FROM sessions o WHERE o.id = r.session AND o.expires <= clock_timestamp());`,
      ],
    ],
    caughtBy: hidden,
  },
  {
    name: 'no notice of anything',
    replacements: [['IF cardinality(p_keys) > 1000 THEN', 'RETURN;\n  IF cardinality(p_keys) > 1000 THEN']],
    caughtBy: leaves,
  },
  {
    name: 'no notice of what is no lock',
    replacements: [
      ['IF NOT EXISTS (\n        SELECT FROM interests', 'IF EXISTS (\n        SELECT FROM interests'],
    ],
    caughtBy: looks,
  },
  {
    name: 'conditions that hold no longer than the look at them',
    replacements: [['PERFORM FROM records WHERE key = v_key FOR SHARE;', 'NULL;']],
    caughtBy: noSkew,
  },
  {
    name: 'burying that waits for a put on its way',
    replacements: [['LIMIT 100 FOR UPDATE SKIP LOCKED', 'LIMIT 100 FOR UPDATE']],
    caughtBy: buryWithoutWaiting,
  },
  {
    name: 'burying that waits for who has taken a proof',
    replacements: [['ORDER BY key FOR UPDATE SKIP LOCKED)', 'ORDER BY key FOR UPDATE)']],
    caughtBy: buryWithoutWaiting,
  },
];
