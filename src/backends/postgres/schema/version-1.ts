/**
 * What is created in the database, as of version 1. Functions carry the version in which they came in their names, so that a
 * migration never changes one under a replica of the version before.
 *
 * Locks are always taken in one order: sessions, then records by their keys, then queues and names by their hashes. So no two
 * calls of ours wait for each other.
 *
 * @param s the schema, quoted.
 * @param channel of the notices, as a literal.
 */
export function version1(s: string, channel: string): string {
  const secured = `LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp`;
  return `
CREATE SEQUENCE ${s}.revisions MAXVALUE 140737488355327 CACHE 1;

CREATE TABLE ${s}.sessions (
  id text PRIMARY KEY,
  name text NOT NULL,
  ttl interval NOT NULL,
  expires timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The queue: everything up to and with the first segment ".lock".
CREATE TABLE ${s}.records (
  key text COLLATE "C" PRIMARY KEY CHECK (octet_length(key) <= 2048),
  queue text COLLATE "C" GENERATED ALWAYS AS (
    CASE WHEN strpos(key, '/.lock/') > 0 THEN left(key, strpos(key, '/.lock/') + 6) END
  ) STORED,
  value bytea NOT NULL,
  session text,
  created bigint NOT NULL,
  revision bigint NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX records_queue ON ${s}.records (queue, created) WHERE queue IS NOT NULL;
CREATE INDEX records_session ON ${s}.records (session) WHERE session IS NOT NULL;

-- Who has to be told of what lies in a directory, though nothing of his stands there.
CREATE TABLE ${s}.interests (
  place text COLLATE "C" NOT NULL,
  listener text NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (place, listener)
);

-- Of this primary: it changes when a replica is promoted, or a copy restored.
CREATE FUNCTION ${s}.timeline_1() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
$$;

-- Of what is granted nothing may be lost in a crash, whatever the user's setting is.
CREATE FUNCTION ${s}.begin_1(p_timeline text) RETURNS void ${secured} AS $$
BEGIN
  IF p_timeline IS DISTINCT FROM timeline_1() THEN
    RAISE EXCEPTION 'holdfast: another timeline' USING ERRCODE = 'HF001';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

CREATE FUNCTION ${s}.lock_of_1(p_name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_catalog.hashtextextended(p_name, 7308604898)
$$;

-- A session that may own what is put now. It stays until the end of this transaction.
CREATE FUNCTION ${s}.live_1(p_session text) RETURNS boolean ${secured} AS $$
BEGIN
  PERFORM FROM sessions WHERE id = p_session AND expires > clock_timestamp() FOR KEY SHARE;
  RETURN FOUND;
END $$;

-- In as many notices as it takes; above a thousand keys one that says "anything".
CREATE FUNCTION ${s}.tell_1(p_keys text[]) RETURNS void ${secured} AS $$
DECLARE
  v_chunk text[] := '{}';
  v_bytes int := 0;
  v_key text;
BEGIN
  IF cardinality(p_keys) > 1000 THEN
    PERFORM pg_notify(${channel}, '*');
    RETURN;
  END IF;
  FOREACH v_key IN ARRAY p_keys LOOP
    -- As JSON a byte may become six.
    IF v_bytes > 0 AND v_bytes + 6 * octet_length(v_key) + 4 > 7800 THEN
      PERFORM pg_notify(${channel}, to_jsonb(v_chunk)::text);
      v_chunk := '{}';
      v_bytes := 0;
    END IF;
    v_chunk := v_chunk || v_key;
    v_bytes := v_bytes + 6 * octet_length(v_key) + 4;
  END LOOP;
  IF v_bytes > 7800 THEN
    PERFORM pg_notify(${channel}, '*');
  ELSIF v_bytes > 0 THEN
    PERFORM pg_notify(${channel}, to_jsonb(v_chunk)::text);
  END IF;
END $$;

-- What somebody does to the tables by himself is told as well, and ends with a session what it owns. Ours say so themselves.
CREATE FUNCTION ${s}.by_hand_1() RETURNS trigger ${secured} AS $$
BEGIN
  IF TG_TABLE_NAME = 'sessions' THEN
    PERFORM end_sessions_1(ARRAY[OLD.id]);
  ELSE
    PERFORM tell_1(ARRAY[OLD.key]);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER by_hand AFTER DELETE ON ${s}.sessions FOR EACH ROW
  WHEN (strpos(current_setting('search_path'), 'pg_catalog, pg_temp') = 0) EXECUTE FUNCTION ${s}.by_hand_1();
CREATE TRIGGER by_hand AFTER UPDATE OR DELETE ON ${s}.records FOR EACH ROW
  WHEN (strpos(current_setting('search_path'), 'pg_catalog, pg_temp') = 0) EXECUTE FUNCTION ${s}.by_hand_1();

CREATE FUNCTION ${s}.open_1(p_timeline text, p_name text, p_ttl int) RETURNS text ${secured} AS $$
DECLARE
  v_id text := replace(gen_random_uuid()::text, '-', '');
BEGIN
  PERFORM begin_1(p_timeline);
  INSERT INTO sessions VALUES (v_id, p_name, p_ttl * interval '1 ms', clock_timestamp() + p_ttl * interval '1 ms');
  RETURN v_id;
END $$;

CREATE FUNCTION ${s}.renew_1(p_timeline text, p_id text) RETURNS boolean ${secured} AS $$
BEGIN
  PERFORM begin_1(p_timeline);
  UPDATE sessions SET expires = clock_timestamp() + ttl WHERE id = p_id AND expires > clock_timestamp();
  RETURN FOUND;
END $$;

-- Ends sessions and what they own. The rows of the sessions are locked, and nothing is put under them any more.
CREATE FUNCTION ${s}.end_sessions_1(p_ids text[]) RETURNS void ${secured} AS $$
DECLARE
  v_keys text[];
  v_queue bigint;
BEGIN
  SELECT array_agg(key) INTO v_keys
    FROM (SELECT key FROM records WHERE session = ANY (p_ids) ORDER BY key FOR UPDATE) owned;
  FOR v_queue IN
    SELECT DISTINCT lock_of_1(coalesce(queue, key)) AS id FROM records WHERE key = ANY (v_keys) ORDER BY id
  LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;
  DELETE FROM records WHERE key = ANY (v_keys);
  DELETE FROM sessions WHERE id = ANY (p_ids);
  PERFORM tell_1(coalesce(v_keys, '{}'));
END $$;

CREATE FUNCTION ${s}.close_1(p_timeline text, p_id text) RETURNS void ${secured} AS $$
BEGIN
  PERFORM begin_1(p_timeline);
  PERFORM FROM sessions WHERE id = p_id FOR UPDATE;
  IF FOUND THEN
    PERFORM end_sessions_1(ARRAY[p_id]);
  END IF;
END $$;

-- Whoever notices buries what is past its time. What somebody is using at this moment is left for the next time: a put that is on its
-- way, or a transaction that has taken a proof.
CREATE FUNCTION ${s}.bury_1(p_timeline text, p_ids text[]) RETURNS int ${secured} AS $$
DECLARE
  v_dead text[];
BEGIN
  PERFORM begin_1(p_timeline);
  SELECT array_agg(id) INTO v_dead FROM (
    SELECT id FROM sessions WHERE (p_ids IS NULL OR id = ANY (p_ids)) AND expires <= clock_timestamp()
    ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
  ) expired;
  -- Records of one that is gone from its table, whoever took it from there.
  v_dead := v_dead || ARRAY(
    SELECT id FROM unnest(p_ids) AS given (id) WHERE NOT EXISTS (SELECT FROM sessions WHERE sessions.id = given.id)
      AND EXISTS (SELECT FROM records WHERE session = given.id));
  IF v_dead IS NULL OR v_dead = '{}' THEN
    RETURN 0;
  END IF;
  WITH free AS (SELECT key, session FROM records WHERE session = ANY (v_dead) ORDER BY key FOR UPDATE SKIP LOCKED)
  SELECT array_agg(id) INTO v_dead FROM unnest(v_dead) AS id
    WHERE (SELECT count(*) FROM free WHERE session = id) = (SELECT count(*) FROM records WHERE session = id);
  IF v_dead IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM end_sessions_1(v_dead);
  DELETE FROM interests WHERE until < clock_timestamp();
  RETURN cardinality(v_dead);
END $$;

-- Stands in line, and counts who does. The verdict: 1 done, 0 conflict, -1 the session is gone.
CREATE FUNCTION ${s}.enter_1(
  p_timeline text, p_key text, p_queue text, p_value bytea, p_session text, p_places text[],
  OUT verdict int, OUT revision bigint, OUT members int
) ${secured} AS $$
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
  SELECT count(*) INTO members FROM records WHERE queue = p_queue;
  IF EXISTS (SELECT FROM interests WHERE place = ANY (p_places)) THEN
    PERFORM tell_1(ARRAY[p_key]);
  END IF;
END $$;

-- Leaves the line. Nobody is told where nobody stands and nobody looks.
CREATE FUNCTION ${s}.leave_1(p_timeline text, p_key text, p_queue text, p_revision bigint, p_places text[])
RETURNS boolean ${secured} AS $$
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
    PERFORM tell_1(ARRAY[p_key]);
  END IF;
  RETURN true;
END $$;

-- The same for many, none of which stands in the queue of another.
CREATE FUNCTION ${s}.enter_many_1(
  p_timeline text, p_keys text[], p_queues text[], p_values bytea[], p_sessions text[], p_places text[]
) RETURNS TABLE (n int, verdict int, revision bigint, members int) ${secured} AS $$
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
RETURNS SETOF int ${secured} AS $$
DECLARE
  v_gone text[];
  v_queue bigint;
  v_told text[];
BEGIN
  PERFORM begin_1(p_timeline);
  SELECT array_agg(key) INTO v_gone FROM (
    SELECT r.key FROM records r JOIN unnest(p_keys, p_revisions) AS w (k, v) ON r.key = w.k AND r.revision = w.v
    ORDER BY r.key FOR UPDATE OF r
  ) gone;
  FOR v_queue IN SELECT DISTINCT lock_of_1(q) AS id FROM unnest(p_queues) AS q ORDER BY id LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;
  DELETE FROM records WHERE key = ANY (v_gone);
  IF EXISTS (SELECT FROM interests WHERE place = ANY (p_places)) THEN
    PERFORM tell_1(coalesce(v_gone, '{}'));
  ELSE
    SELECT array_agg(k) INTO v_told FROM unnest(p_keys, p_queues) AS w (k, q)
      WHERE k = ANY (v_gone) AND EXISTS (SELECT FROM records WHERE queue = q);
    IF v_told IS NOT NULL THEN
      PERFORM tell_1(v_told);
    END IF;
  END IF;
  RETURN QUERY SELECT w.nr::int - 1 FROM unnest(p_keys) WITH ORDINALITY AS w (k, nr) WHERE k = ANY (v_gone);
END $$;

-- What a scope shows: a key; or what lies from p_low up to p_high, of which p_queue is all if it is a queue; the oldest or the youngest of it.
CREATE FUNCTION ${s}.show_1(
  p_key text, p_low text, p_high text, p_queue text, p_limit int, p_before bigint
) RETURNS SETOF ${s}.records LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
BEGIN
  IF p_key IS NOT NULL THEN
    RETURN QUERY SELECT * FROM records WHERE key = p_key;
  ELSIF p_queue IS NOT NULL AND p_before IS NOT NULL THEN
    RETURN QUERY SELECT * FROM records WHERE queue = p_queue AND created < p_before
      ORDER BY created DESC, key DESC LIMIT p_limit;
  ELSIF p_queue IS NOT NULL THEN
    RETURN QUERY SELECT * FROM records WHERE queue = p_queue ORDER BY created, key LIMIT p_limit;
  ELSIF p_before IS NOT NULL THEN
    RETURN QUERY SELECT * FROM records WHERE key >= p_low AND (p_high IS NULL OR key < p_high) AND created < p_before
      ORDER BY created DESC, key DESC LIMIT p_limit;
  ELSE
    RETURN QUERY SELECT * FROM records WHERE key >= p_low AND (p_high IS NULL OR key < p_high)
      ORDER BY CASE WHEN p_limit IS NOT NULL THEN created END, key LIMIT p_limit;
  END IF;
END $$;

-- Many scopes in one look. Milliseconds left say how long the session of a record may yet live without a renewal.
CREATE FUNCTION ${s}.look_1(
  p_keys text[], p_lows text[], p_highs text[], p_queues text[], p_limits int[], p_befores bigint[]
) RETURNS TABLE (n int, key text, value bytea, session text, created bigint, revision bigint, left_ms float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT w.nr::int - 1, r.key, r.value, r.session, r.created, r.revision,
    extract(epoch FROM o.expires - clock_timestamp())::float8 * 1000
  FROM unnest(p_keys, p_lows, p_highs, p_queues, p_limits, p_befores) WITH ORDINALITY AS w (k, lo, hi, q, li, be, nr)
    CROSS JOIN LATERAL show_1(k, lo, hi, q, li, be) WITH ORDINALITY AS r (key, queue, value, session, created, revision, place)
    LEFT JOIN sessions o ON o.id = r.session
  ORDER BY w.nr, r.place
$$;

-- What a commit that changes nothing comes to, in one snapshot.
CREATE FUNCTION ${s}.holds_1(p_when jsonb) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT coalesce(bool_and(CASE
      WHEN w ->> 'is' = 'absent' THEN r.key IS NULL
      WHEN w ->> 'is' = 'unowned' THEN r.session IS NULL
      WHEN w ? 'revision' THEN coalesce(r.revision = (w ->> 'revision')::bigint, false)
      ELSE coalesce(r.session = w ->> 'session', false)
    END), true)
  FROM jsonb_array_elements(p_when) AS w LEFT JOIN records r ON r.key = w ->> 'key'
$$;

CREATE FUNCTION ${s}.shown_1(p_scope jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('key', key, 'value', encode(value, 'hex'), 'session', session,
      'created', created::text, 'revision', revision::text) ORDER BY place), '[]')
  FROM show_1(p_scope ->> 'key', p_scope ->> 'low', p_scope ->> 'high', p_scope ->> 'queue', (p_scope ->> 'limit')::int,
    (p_scope ->> 'before')::bigint) WITH ORDINALITY AS r (key, queue, value, session, created, revision, place)
$$;

CREATE FUNCTION ${s}.counted_1(p_scope jsonb) RETURNS int
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT count(*)::int FROM show_1(NULL, p_scope ->> 'low', p_scope ->> 'high', p_scope ->> 'queue', NULL, NULL)
$$;

CREATE FUNCTION ${s}.queue_of_1(p_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN strpos(p_key, '/.lock/') > 0 THEN left(p_key, strpos(p_key, '/.lock/') + 6) ELSE p_key END
$$;

-- Changes nothing: all of it in one snapshot, without a lock.
CREATE FUNCTION ${s}.check_1(p_commits jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'ok', holds_1(c -> 'when'),
      'revision', (SELECT last_value::text FROM revisions),
      'read', CASE WHEN c ? 'read' THEN shown_1(c -> 'read') END,
      'count', CASE WHEN c ? 'count' THEN counted_1(c -> 'count') END)) ORDER BY nr)
  FROM jsonb_array_elements(p_commits) WITH ORDINALITY AS w (c, nr)
$$;

-- Commits of any form, that touch nothing in common: an outcome for each.
CREATE FUNCTION ${s}.commit_1(p_timeline text, p_commits jsonb) RETURNS jsonb ${secured} AS $$
DECLARE
  v_live text[];
  v_key text;
  v_lock bigint;
  v_changes boolean;
  v_commit jsonb;
  v_results jsonb := '[]';
  v_result jsonb;
  v_revision bigint;
  v_old text[];
  v_keys text[];
BEGIN
  PERFORM begin_1(p_timeline);
  -- Whoever counts what is no queue keeps all others out.
  IF EXISTS (SELECT FROM jsonb_array_elements(p_commits) AS c WHERE c ? 'count' AND NOT c -> 'count' ? 'queue') THEN
    LOCK TABLE records IN EXCLUSIVE MODE;
  END IF;
  SELECT coalesce(array_agg(id), '{}') INTO v_live FROM (
    SELECT id FROM sessions WHERE id IN (
      SELECT t ->> 'session' FROM jsonb_array_elements(p_commits) AS c, jsonb_array_elements(c -> 'then') AS t
    ) AND expires > clock_timestamp() ORDER BY id FOR KEY SHARE
  ) live;
  FOR v_key, v_changes IN
    SELECT k, bool_or(changes) FROM (
      SELECT t ->> 'key' AS k, true AS changes FROM jsonb_array_elements(p_commits) AS c, jsonb_array_elements(c -> 'then') AS t
      UNION ALL SELECT w ->> 'key', false FROM jsonb_array_elements(p_commits) AS c, jsonb_array_elements(c -> 'when') AS w
    ) touched GROUP BY k ORDER BY k COLLATE "C"
  LOOP
    IF v_changes THEN
      PERFORM FROM records WHERE key = v_key FOR UPDATE;
    ELSE
      PERFORM FROM records WHERE key = v_key FOR SHARE;
    END IF;
  END LOOP;
  FOR v_lock IN
    SELECT DISTINCT lock_of_1(queue_of_1(name)) AS id FROM (
      SELECT t ->> 'key' AS name FROM jsonb_array_elements(p_commits) AS c, jsonb_array_elements(c -> 'then') AS t
      UNION ALL SELECT w ->> 'key' FROM jsonb_array_elements(p_commits) AS c, jsonb_array_elements(c -> 'when') AS w WHERE w ? 'is'
      UNION ALL SELECT c #>> '{count,queue}' FROM jsonb_array_elements(p_commits) AS c
      UNION ALL SELECT coalesce(c #>> '{read,queue}', c #>> '{read,key}') FROM jsonb_array_elements(p_commits) AS c
    ) named WHERE name IS NOT NULL ORDER BY id
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
  FOR v_commit IN SELECT c FROM jsonb_array_elements(p_commits) AS c LOOP
    v_result := '{}';
    IF NOT holds_1(v_commit -> 'when') THEN
      v_result := jsonb_build_object('why', 'conflict', 'dead', (
        SELECT jsonb_agg(o.id) FROM jsonb_array_elements(v_commit -> 'when') AS w
          JOIN records r ON r.key = w ->> 'key' JOIN sessions o ON o.id = r.session WHERE o.expires <= clock_timestamp()));
    ELSIF EXISTS (SELECT FROM jsonb_array_elements(v_commit -> 'then') AS t WHERE t ? 'session' AND t ->> 'session' <> ALL (v_live)) THEN
      v_result := jsonb_build_object('why', 'session-gone');
    ELSE
      v_revision := nextval('revisions');
      SELECT array_agg(t ->> 'key'), array_agg(r.key) FILTER (WHERE r.session IS NOT NULL) INTO v_keys, v_old
        FROM jsonb_array_elements(v_commit -> 'then') AS t LEFT JOIN records r ON r.key = t ->> 'key';
      DELETE FROM records WHERE key IN (
        SELECT t ->> 'key' FROM jsonb_array_elements(v_commit -> 'then') AS t WHERE NOT t ? 'value');
      INSERT INTO records AS r (key, value, session, created, revision)
        SELECT t ->> 'key', decode(t ->> 'value', 'hex'), t ->> 'session', v_revision, v_revision
        FROM jsonb_array_elements(v_commit -> 'then') AS t WHERE t ? 'value' ORDER BY 1
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, session = excluded.session, revision = excluded.revision;
      v_result := jsonb_build_object('ok', true, 'revision', v_revision::text);
      IF v_commit ? 'count' THEN
        v_result := v_result || jsonb_build_object('count', counted_1(v_commit -> 'count'));
      END IF;
      IF NOT EXISTS (
        SELECT FROM interests WHERE place IN (SELECT jsonb_array_elements_text(v_commit -> 'places'))
      ) THEN
        -- Who holds by a record, or stands behind it, looks at it without an interest.
        SELECT array_agg(k) INTO v_keys FROM unnest(v_keys) AS k WHERE k = ANY (v_old) OR strpos(k, '/.lock/') > 0;
      END IF;
      IF v_keys IS NOT NULL THEN
        PERFORM tell_1(v_keys);
      END IF;
    END IF;
    IF v_commit ? 'read' THEN
      v_result := v_result || jsonb_build_object('read', shown_1(v_commit -> 'read'));
    END IF;
    v_results := v_results || v_result;
  END LOOP;
  RETURN v_results;
END $$;

-- From now on a change in these places is told. Whoever was under way may not have seen it: they are over when no transaction
-- is left that is older than what this gives.
CREATE FUNCTION ${s}.watch_1(p_listener text, p_places text[], p_seconds int) RETURNS void ${secured} AS $$
BEGIN
  INSERT INTO interests SELECT p, p_listener, clock_timestamp() + p_seconds * interval '1 s'
    FROM (SELECT DISTINCT p FROM unnest(p_places) AS p ORDER BY p) AS places
    ON CONFLICT (place, listener) DO UPDATE SET until = excluded.until;
END $$;

CREATE FUNCTION ${s}.unwatch_1(p_listener text) RETURNS void ${secured} AS $$
BEGIN
  DELETE FROM interests WHERE listener = p_listener;
END $$;

-- Whom we talk to. After a promotion, or in a copy, what this primary knows of the sequence may be older than what was granted: once
-- for each such change tokens jump, and sessions get their time anew.
CREATE FUNCTION ${s}.hello_1(OUT timeline text, OUT version int, OUT readable_from int, OUT encoding text) ${secured} AS $$
DECLARE
  v_identifier text := (SELECT system_identifier::text FROM pg_control_system());
BEGIN
  timeline := timeline_1();
  encoding := current_setting('server_encoding');
  SELECT m.version, m.readable_from INTO hello_1.version, hello_1.readable_from FROM meta m;
  IF NOT EXISTS (SELECT FROM meta m WHERE m.timeline = hello_1.timeline AND m.system_identifier = v_identifier) THEN
    PERFORM FROM meta FOR UPDATE;
    IF NOT EXISTS (SELECT FROM meta m WHERE m.timeline = hello_1.timeline AND m.system_identifier = v_identifier) THEN
      PERFORM setval('revisions', nextval('revisions') + 1073741824);
      UPDATE sessions SET expires = clock_timestamp() + ttl;
      UPDATE meta SET timeline = hello_1.timeline, system_identifier = v_identifier;
    END IF;
  END IF;
END $$;

CREATE TABLE ${s}.meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL,
  readable_from int NOT NULL,
  system_identifier text NOT NULL,
  timeline text NOT NULL
);
INSERT INTO ${s}.meta (version, readable_from, system_identifier, timeline)
  SELECT 1, 1, system_identifier::text, ${s}.timeline_1() FROM pg_control_system();
`;
}
