import { secured } from './secured.ts';

/** Commits of any form. @param s the schema, quoted. */
export function commits(s: string): string {
  return `
-- Commits of any form, that touch nothing in common: an outcome for each.
CREATE FUNCTION ${s}.commit_1(p_timeline text, p_commits jsonb) RETURNS jsonb ${secured(s)} AS $$
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
`;
}
