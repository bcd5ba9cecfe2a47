import { IMPATIENT, secured } from './secured.ts';

/** What locks are made of: to enter a queue and to leave it, alone and many at a time. @param s the schema, quoted. */
export function queues(s: string): string {
  return `
-- Stands in line, and counts who does. The verdict: 1 done, 0 conflict, -1 the session is gone.
CREATE FUNCTION ${s}.enter_1(
  p_timeline text, p_key text, p_queue text, p_value bytea, p_session text, p_places text[],
  OUT verdict int, OUT revision bigint, OUT members int
) ${secured(s)} AS $$
DECLARE
  v_wanted boolean;
BEGIN
  PERFORM begin_1(p_timeline);
  -- Also where it is about to go: to wait for that under the lock of the queue would be to wait for each other.
  IF EXISTS (SELECT FROM records WHERE key = p_key) THEN
    verdict := 0;
    RETURN;
  END IF;
  IF NOT live_1(p_session) THEN
    verdict := -1;
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(lock_of_1(p_queue));
  INSERT INTO records AS r (key, value, session, created, revision)
    SELECT p_key, p_value, p_session, n, n FROM nextval('revisions') AS n
    ON CONFLICT DO NOTHING RETURNING r.created INTO enter_1.revision;
  IF NOT FOUND THEN
    verdict := 0;
    RETURN;
  END IF;
  verdict := 1;
  SELECT count(*), EXISTS (SELECT FROM interests WHERE place = ANY (p_places)) INTO members, v_wanted
    FROM records WHERE queue = p_queue;
  IF v_wanted THEN
    PERFORM tell_1(ARRAY[p_key]);
  END IF;
END $$;

-- Leaves the line. Nobody is told where nobody stands and nobody looks.
CREATE FUNCTION ${s}.leave_1(p_timeline text, p_key text, p_queue text, p_revision bigint, p_places text[])
RETURNS boolean ${secured(s)} ${IMPATIENT} AS $$
BEGIN
  PERFORM begin_1(p_timeline);
  DELETE FROM records WHERE key = p_key AND revision = p_revision;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock(lock_of_1(p_queue));
  IF EXISTS (SELECT FROM records WHERE queue = p_queue)
    OR EXISTS (SELECT FROM interests WHERE place = ANY (p_places))
  THEN
    PERFORM tell_1(ARRAY[p_key], ARRAY[p_revision]);
  END IF;
  RETURN true;
END $$;

-- The same for many, none of which stands in the queue of another.
CREATE FUNCTION ${s}.enter_many_1(
  p_timeline text, p_keys text[], p_queues text[], p_values bytea[], p_sessions text[], p_places text[]
) RETURNS TABLE (n int, verdict int, revision bigint, members int) ${secured(s)} AS $$
DECLARE
  v_live text[];
  v_queue bigint;
  v_made text[];
BEGIN
  PERFORM begin_1(p_timeline);
  SELECT array_agg(id) INTO v_live FROM (
    SELECT id FROM sessions WHERE id = ANY (p_sessions) AND expires > clock_timestamp() ORDER BY id FOR KEY SHARE
  ) live;
  FOR v_queue IN SELECT DISTINCT lock_of_1(q) AS id FROM unnest(p_queues) AS q ORDER BY id LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;
  WITH made AS (
    INSERT INTO records AS r (key, value, session, created, revision)
      SELECT k, v, o, number, number
      FROM unnest(p_keys, p_values, p_sessions) AS w (k, v, o), LATERAL (SELECT nextval('revisions') + 0 * length(k) AS number) AS drawn
      WHERE o = ANY (v_live) AND NOT EXISTS (SELECT FROM records WHERE key = k)
      ON CONFLICT DO NOTHING RETURNING r.key
  ) SELECT array_agg(key) INTO v_made FROM made;
  IF EXISTS (SELECT FROM interests WHERE place = ANY (p_places)) THEN
    PERFORM tell_1(coalesce(v_made, '{}'));
  END IF;
  RETURN QUERY
    WITH counted AS (SELECT queue AS q, count(*)::int AS c FROM records WHERE queue = ANY (p_queues) GROUP BY queue)
    SELECT w.nr::int - 1,
      CASE WHEN w.k = ANY (v_made) THEN 1 WHEN r.key IS NULL THEN -1 ELSE 0 END,
      r.created, counted.c
    FROM unnest(p_keys, p_queues) WITH ORDINALITY AS w (k, q, nr)
      LEFT JOIN records r ON r.key = w.k LEFT JOIN counted ON counted.q = w.q;
END $$;

-- Gives the places, from 0, of those that were there.
CREATE FUNCTION ${s}.leave_many_1(p_timeline text, p_keys text[], p_queues text[], p_revisions bigint[], p_places text[])
RETURNS SETOF int ${secured(s)} ${IMPATIENT} AS $$
DECLARE
  v_gone text[];
  v_revisions bigint[];
  v_queue bigint;
  v_told text[];
BEGIN
  PERFORM begin_1(p_timeline);
  SELECT array_agg(key), array_agg(revision) INTO v_gone, v_revisions FROM (
    SELECT r.key, r.revision FROM records r JOIN unnest(p_keys, p_revisions) AS w (k, v) ON r.key = w.k AND r.revision = w.v
    ORDER BY r.key FOR UPDATE OF r
  ) gone;
  FOR v_queue IN SELECT DISTINCT lock_of_1(q) AS id FROM unnest(p_queues) AS q ORDER BY id LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;
  DELETE FROM records WHERE key = ANY (v_gone);
  IF EXISTS (SELECT FROM interests WHERE place = ANY (p_places)) THEN
    v_told := v_gone;
  ELSE
    SELECT array_agg(k), array_agg(v) INTO v_told, v_revisions FROM unnest(v_gone, v_revisions) AS w (k, v)
      WHERE EXISTS (SELECT FROM records WHERE queue = queue_of_1(k));
  END IF;
  IF v_told IS NOT NULL THEN
    PERFORM tell_1(v_told, v_revisions);
  END IF;
  RETURN QUERY SELECT w.nr::int - 1 FROM unnest(p_keys) WITH ORDINALITY AS w (k, nr) WHERE k = ANY (v_gone);
END $$;
`;
}
