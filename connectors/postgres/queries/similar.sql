-- Answers to the same question in other words. What must be equal is hashed into (partition, sense): what is left to
-- compare is one vector a place, so that a look-up is one step down a B-tree at any number of entries, and exact.

-- name: ensure
-- Also after the migrations, so that an extension that comes later is found by the next `migrate`. The cache is unlogged,
-- as it is no loss: whatever it forgets is asked again.
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(1399881057);
    IF to_regclass('similar_answers') IS NULL AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS vector;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN;
        END;
        CREATE UNLOGGED TABLE similar_answers (
            tenant     text COLLATE "C" NOT NULL,
            partition  bytea NOT NULL,
            sense      bytea NOT NULL,
            cache_key  text NOT NULL,
            tags       bytea NOT NULL,
            embedding  vector NOT NULL,
            entry      bytea NOT NULL,
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, partition, sense)
        );
        CREATE INDEX similar_answers_expires_at ON similar_answers (expires_at);
    END IF;
END $$;

-- name: state
-- What is there, and what is missing.
SELECT to_regclass('similar_answers') IS NOT NULL AS ready,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS available;

-- name: peek
SELECT (w.n - 1)::integer AS n, a.tenant IS NOT NULL AS known, coalesce(t.closed, false) AS closed
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::integer[])
     WITH ORDINALITY AS w (tenant, partition, sense, template, version, n)
LEFT JOIN LATERAL (
    SELECT a.tenant
    FROM similar_answers a
    WHERE a.tenant = w.tenant AND a.partition = w.partition AND a.sense = w.sense AND a.expires_at > now()
) a ON true
LEFT JOIN LATERAL (
    SELECT t.closed FROM similar_trust t WHERE t.tenant = w.tenant AND t.template = w.template AND t.version = w.version
) t ON true;

-- name: compare
SELECT (w.n - 1)::integer AS n, 1 - (a.embedding <=> w.embedding) AS similarity, a.entry, a.cache_key, a.tags
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[]::vector[])
     WITH ORDINALITY AS w (tenant, partition, sense, embedding, n)
CROSS JOIN LATERAL (
    SELECT a.embedding, a.entry, a.cache_key, a.tags
    FROM similar_answers a
    WHERE a.tenant = w.tenant AND a.partition = w.partition AND a.sense = w.sense AND a.expires_at > now()
) a;

-- name: keep
-- Rows in the order of the key, each once.
INSERT INTO similar_answers (tenant, partition, sense, cache_key, tags, embedding, entry, expires_at)
SELECT tenant, partition, sense, cache_key, tags, embedding, entry, now() + make_interval(secs => ttl)
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::text[]::vector[], $7::bytea[], $8::integer[])
  AS k (tenant, partition, sense, cache_key, tags, embedding, entry, ttl)
ON CONFLICT (tenant, partition, sense) DO UPDATE
SET cache_key = excluded.cache_key, tags = excluded.tags, embedding = excluded.embedding, entry = excluded.entry,
    expires_at = excluded.expires_at;

-- name: begin_trust
INSERT INTO similar_trust (tenant, template, version, checked, wrong, closed, since)
SELECT tenant, template, version, 0, 0, false, 0
FROM unnest($1::text[], $2::text[], $3::integer[]) AS g (tenant, template, version)
ON CONFLICT DO NOTHING;

-- name: lock_trust
SELECT t.tenant, t.template, t.version, t.checked, t.wrong, t.closed, t.since
FROM unnest($1::text[], $2::text[], $3::integer[]) AS g (tenant, template, version)
JOIN similar_trust t ON t.tenant = g.tenant AND t.template = g.template AND t.version = g.version
ORDER BY t.tenant, t.template, t.version
FOR NO KEY UPDATE OF t;

-- name: set_trust
UPDATE similar_trust t
SET checked = g.checked, wrong = g.wrong, closed = g.closed, since = g.since, updated_at = now()
FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::boolean[], $7::integer[])
  AS g (tenant, template, version, checked, wrong, closed, since)
WHERE t.tenant = g.tenant AND t.template = g.template AND t.version = g.version;

-- name: trust
SELECT tenant, template, version, checked, wrong, closed, since
FROM similar_trust
WHERE tenant = $1
ORDER BY template, version;

-- name: forget_expired
DELETE FROM similar_answers
WHERE (tenant, partition, sense) IN (
    SELECT tenant, partition, sense FROM similar_answers WHERE expires_at <= now() ORDER BY expires_at LIMIT 10000
)
RETURNING 1;
