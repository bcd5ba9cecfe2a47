/** What is looked at without changing it. @param s the schema, quoted. */
export function looks(s: string): string {
  return `
-- What a scope shows: a key; or what lies from p_low up to p_high, of which p_queue is all if it is a queue; the oldest or the youngest of it.
CREATE FUNCTION ${s}.show_1(
  p_key text, p_low text, p_high text, p_queue text, p_limit int, p_before bigint
) RETURNS SETOF ${s}.records LANGUAGE plpgsql STABLE AS $$
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

-- Many scopes in one look. Milliseconds left say how long the session of a record may yet live without a renewal. In PL/pgSQL the
-- database plans it once for each connection, and not at each call.
CREATE FUNCTION ${s}.look_1(
  p_timeline text, p_keys text[], p_lows text[], p_highs text[], p_queues text[], p_limits int[], p_befores bigint[]
) RETURNS TABLE (n int, key text, value bytea, session text, created bigint, revision bigint, left_ms float8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM same_1(p_timeline);
  RETURN QUERY SELECT w.nr::int - 1, r.key, r.value, r.session, r.created, r.revision,
    extract(epoch FROM o.expires - clock_timestamp())::float8 * 1000
  FROM unnest(p_keys, p_lows, p_highs, p_queues, p_limits, p_befores) WITH ORDINALITY AS w (k, lo, hi, q, li, be, nr)
    CROSS JOIN LATERAL show_1(k, lo, hi, q, li, be) WITH ORDINALITY AS r
    LEFT JOIN sessions o ON o.id = r.session
  ORDER BY w.nr, r.ordinality;
END $$;

-- What a commit that changes nothing comes to, in one snapshot.
CREATE FUNCTION ${s}.holds_1(p_when jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(bool_and(CASE
      WHEN w ->> 'is' = 'absent' THEN r.key IS NULL
      WHEN w ->> 'is' = 'unowned' THEN r.session IS NULL
      WHEN w ? 'revision' THEN coalesce(r.revision = (w ->> 'revision')::bigint, false)
      ELSE coalesce(r.session = w ->> 'session', false)
    END), true)
  FROM jsonb_array_elements(p_when) AS w LEFT JOIN ${s}.records r ON r.key = w ->> 'key'
$$;

CREATE FUNCTION ${s}.shown_1(p_scope jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('key', key, 'value', encode(value, 'hex'), 'session', session,
      'created', created::text, 'revision', revision::text) ORDER BY ordinality), '[]')
  FROM ${s}.show_1(p_scope ->> 'key', p_scope ->> 'low', p_scope ->> 'high', p_scope ->> 'queue', (p_scope ->> 'limit')::int,
    (p_scope ->> 'before')::bigint) WITH ORDINALITY
$$;

CREATE FUNCTION ${s}.counted_1(p_scope jsonb) RETURNS int LANGUAGE sql STABLE AS $$
  SELECT count(*)::int FROM ${s}.show_1(NULL, p_scope ->> 'low', p_scope ->> 'high', p_scope ->> 'queue', NULL, NULL)
$$;

CREATE FUNCTION ${s}.queue_of_1(p_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN strpos(p_key, '/.lock/') > 0 THEN left(p_key, strpos(p_key, '/.lock/') + 6) ELSE p_key END
$$;

-- Changes nothing: all of it in one snapshot, without a lock.
CREATE FUNCTION ${s}.check_1(p_timeline text, p_commits jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ${s}, pg_catalog, pg_temp AS $$
  SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'ok', holds_1(c -> 'when'),
      'revision', (SELECT last_value::text FROM revisions),
      'read', CASE WHEN c ? 'read' THEN shown_1(c -> 'read') END,
      'count', CASE WHEN c ? 'count' THEN counted_1(c -> 'count') END)) ORDER BY nr)
  FROM jsonb_array_elements(p_commits) WITH ORDINALITY AS w (c, nr) WHERE same_1(p_timeline)
$$;
`;
}
