/** Tables: everything else stands on them. @param s the schema, quoted. */
export function tables(s: string): string {
  return `
CREATE TABLE ${s}.meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL,
  -- The oldest version of the library that can still use it.
  readable_from int NOT NULL,
  -- Of which server, timeline and files the sequence is known to be right.
  origin text NOT NULL,
  -- What notices are signed with that are believed without a look.
  secret text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '')
);

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
`;
}
