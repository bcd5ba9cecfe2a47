import { secured } from './secured.ts';

/** Commits within a transaction of the user's. @param s the schema, quoted. */
export function within(s: string): string {
  return `
-- One commit within a transaction of the user's. Conditions are locked until that is over, so that what they say stays true until then:
-- all that is there. What is not there has no row, and is only seen to be missing where each statement sees what others have done.
-- What is in nobody's way has no number: nothing of ours is in that transaction.
CREATE FUNCTION ${s}.commit_within_1(p_timeline text, p_commit jsonb, OUT said jsonb, OUT in_transaction xid8) ${secured(s)} AS $$
DECLARE
  v_isolation text := current_setting('transaction_isolation');
BEGIN
  IF v_isolation <> 'read committed' AND (p_commit ? 'count' OR EXISTS (
    SELECT FROM jsonb_array_elements(p_commit -> 'when') AS w WHERE w ? 'is' AND NOT EXISTS (
      SELECT FROM jsonb_array_elements(p_commit -> 'then') AS t WHERE t ? 'value' AND t ->> 'key' = w ->> 'key')))
  THEN
    said := jsonb_build_object('isolation', upper(v_isolation));
    RETURN;
  END IF;
  said := commit_1(p_timeline, jsonb_build_array(p_commit)) -> 0;
  IF said ? 'ok' THEN
    in_transaction := pg_current_xact_id();
  END IF;
END $$;
`;
}
