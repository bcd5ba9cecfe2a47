import { IMPATIENT, secured } from './secured.ts';

/** Sessions, who we talk to, and who is told of what. @param s the schema, quoted. */
export function sessions(s: string, channel: string): string {
  const literal = s.replaceAll("'", "''");
  return `
-- What this primary goes on with: another one when a replica is promoted, or a backup restored. Volatile, as the position in the log is:
-- else it would not be made a part of what calls it, but planned anew at each call.
CREATE FUNCTION ${s}.timeline_1() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
$$;

-- The files of a table: others in another database, and where a dump was restored.
CREATE FUNCTION ${s}.files_1() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT pg_catalog.pg_relation_filepath('${literal}.meta')
$$;

-- Cheap to compare at each call: nothing else behind the same address is taken for it.
CREATE FUNCTION ${s}.run_1() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT ${s}.timeline_1() || ' ' || ${s}.files_1() || ' ' || extract(epoch FROM pg_catalog.pg_postmaster_start_time())
$$;

-- The same, over restarts.
CREATE FUNCTION ${s}.origin_1() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT ${s}.timeline_1() || ' ' || ${s}.files_1() || ' ' || system_identifier FROM pg_catalog.pg_control_system()
$$;

-- Whoever is shown another server than he has his session at might take a lock for his own. As all that is only called by others here, it
-- runs with their rights and their search path: to set it anew takes as long as a look at a table.
CREATE FUNCTION ${s}.same_1(p_timeline text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_timeline IS DISTINCT FROM ${s}.run_1() THEN
    RAISE EXCEPTION 'holdfast: another timeline' USING ERRCODE = 'HF001';
  END IF;
  RETURN true;
END $$;

-- Of what is granted nothing may be lost in a crash, whatever the user's setting is.
CREATE FUNCTION ${s}.begin_1(p_timeline text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM same_1(p_timeline);
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

CREATE FUNCTION ${s}.lock_of_1(p_name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_catalog.hashtextextended(p_name, 7308604898)
$$;

-- A session that may own what is put now. It stays until the end of this transaction.
CREATE FUNCTION ${s}.live_1(p_session text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM sessions WHERE id = p_session AND expires > clock_timestamp() FOR KEY SHARE;
  RETURN FOUND;
END $$;

-- Of changes, in as many notices as it takes; above a thousand keys one that says "anything". With revisions: of records that are gone.
-- Whoever may connect can send a notice, and whoever is told that all before him are gone believes that he holds a lock: so that is signed,
-- and says on which primary it is so.
CREATE FUNCTION ${s}.tell_1(p_keys text[], p_revisions bigint[] DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_secret text;
  v_items text := '';
  v_item text;
BEGIN
  IF cardinality(p_keys) > 1000 THEN
    PERFORM pg_notify(${channel}, '*');
    RETURN;
  END IF;
  IF p_revisions IS NOT NULL THEN
    SELECT secret || ' ' || run_1() INTO v_secret FROM meta;
  END IF;
  FOR n IN 1 .. cardinality(p_keys) LOOP
    v_item := to_jsonb(p_keys[n])::text;
    IF p_revisions IS NOT NULL THEN
      v_item := '[' || v_item || ',"' || p_revisions[n] || '"]';
    END IF;
    IF v_items <> '' AND octet_length(v_items) + octet_length(v_item) > 7800 THEN
      PERFORM notify_1(v_items, v_secret);
      v_items := '';
    END IF;
    v_items := concat_ws(',', nullif(v_items, ''), v_item);
  END LOOP;
  IF v_items <> '' THEN
    PERFORM notify_1(v_items, v_secret);
  END IF;
END $$;

CREATE FUNCTION ${s}.notify_1(p_items text, p_secret text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify(${channel}, CASE
    WHEN octet_length(p_items) > 7800 THEN '*'
    WHEN p_secret IS NULL THEN '[' || p_items || ']'
    ELSE encode(sha256(convert_to(p_secret || p_items || p_secret, 'UTF8')), 'hex') || '[' || p_items || ']'
  END);
END $$;

-- What somebody does to the tables by himself is told as well, and ends with a session what it owns. Ours say so themselves.
CREATE FUNCTION ${s}.by_hand_1() RETURNS trigger ${secured(s)} AS $$
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

CREATE FUNCTION ${s}.open_1(p_timeline text, p_name text, p_ttl int) RETURNS text ${secured(s)} AS $$
DECLARE
  v_id text := replace(gen_random_uuid()::text, '-', '');
BEGIN
  PERFORM begin_1(p_timeline);
  INSERT INTO sessions VALUES (v_id, p_name, p_ttl * interval '1 ms', clock_timestamp() + p_ttl * interval '1 ms');
  RETURN v_id;
END $$;

CREATE FUNCTION ${s}.renew_1(p_timeline text, p_id text) RETURNS boolean ${secured(s)} AS $$
BEGIN
  PERFORM begin_1(p_timeline);
  UPDATE sessions SET expires = clock_timestamp() + ttl WHERE id = p_id AND expires > clock_timestamp();
  RETURN FOUND;
END $$;

-- Ends sessions and what they own. The rows of the sessions are locked, and nothing is put under them any more.
CREATE FUNCTION ${s}.end_sessions_1(p_ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_keys text[];
  v_revisions bigint[];
  v_queue bigint;
BEGIN
  SELECT array_agg(key), array_agg(revision) INTO v_keys, v_revisions
    FROM (SELECT key, revision FROM records WHERE session = ANY (p_ids) ORDER BY key FOR UPDATE) owned;
  FOR v_queue IN
    SELECT DISTINCT lock_of_1(coalesce(queue, key)) AS id FROM records WHERE key = ANY (v_keys) ORDER BY id
  LOOP
    PERFORM pg_advisory_xact_lock(v_queue);
  END LOOP;
  DELETE FROM records WHERE key = ANY (v_keys);
  DELETE FROM sessions WHERE id = ANY (p_ids);
  IF v_keys IS NOT NULL THEN
    PERFORM tell_1(v_keys, v_revisions);
  END IF;
END $$;

CREATE FUNCTION ${s}.close_1(p_timeline text, p_id text) RETURNS void ${secured(s)} ${IMPATIENT} AS $$
BEGIN
  PERFORM begin_1(p_timeline);
  PERFORM FROM sessions WHERE id = p_id FOR UPDATE;
  IF FOUND THEN
    PERFORM end_sessions_1(ARRAY[p_id]);
  END IF;
END $$;

-- Whoever notices buries what is past its time. What somebody is using at this moment is left for the next time: a put that is on its
-- way, or a transaction that has taken a proof.
CREATE FUNCTION ${s}.bury_1(p_timeline text, p_ids text[]) RETURNS int ${secured(s)} AS $$
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

-- From now on a change in these places is told. Whoever was under way may not have seen it: they are over when no transaction
-- is left that was open at a look after this one's COMMIT.
CREATE FUNCTION ${s}.watch_1(p_timeline text, p_listener text, p_places text[], p_seconds int) RETURNS void ${secured(s)} AS $$
BEGIN
  PERFORM same_1(p_timeline);
  INSERT INTO interests SELECT p, p_listener, clock_timestamp() + p_seconds * interval '1 s'
    FROM (SELECT DISTINCT p FROM unnest(p_places) AS p ORDER BY p) AS places
    ON CONFLICT (place, listener) DO UPDATE SET until = excluded.until;
END $$;

CREATE FUNCTION ${s}.unwatch_1(p_listener text) RETURNS void ${secured(s)} AS $$
BEGIN
  DELETE FROM interests WHERE listener = p_listener;
END $$;

-- Whom we talk to. After a promotion, or in a copy, what this primary knows of the sequence may be older than what was granted: once
-- for each such change tokens jump, and sessions get their time anew.
CREATE FUNCTION ${s}.hello_1(
  OUT timeline text, OUT version int, OUT readable_from int, OUT encoding text, OUT secret text
) ${secured(s)} AS $$
DECLARE
  v_origin text := origin_1();
BEGIN
  timeline := run_1();
  encoding := current_setting('server_encoding');
  IF NOT EXISTS (SELECT FROM meta m WHERE m.origin = v_origin) THEN
    PERFORM FROM meta FOR UPDATE;
    IF NOT EXISTS (SELECT FROM meta m WHERE m.origin = v_origin) THEN
      PERFORM setval('revisions', nextval('revisions') + 1073741824);
      UPDATE sessions SET expires = clock_timestamp() + ttl;
      UPDATE meta SET origin = v_origin;
    END IF;
  END IF;
  SELECT m.version, m.readable_from, m.secret INTO hello_1.version, hello_1.readable_from, hello_1.secret FROM meta m;
END $$;

INSERT INTO ${s}.meta (version, readable_from, origin) VALUES (1, 1, ${s}.origin_1());
`;
}
