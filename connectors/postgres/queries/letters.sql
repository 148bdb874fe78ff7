-- Dead letters. Arrays in, in the order of (tenant, letter) or (tenant, id); rows are locked in that order (rule L16).

-- name: store
INSERT INTO dead_letters AS d (tenant, letter, id, run, code, stage, reason, topic, attempts, size, first_seen,
                               last_seen, body)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::integer[], $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::bytea[])
ON CONFLICT (tenant, letter) DO UPDATE SET last_seen = excluded.last_seen WHERE d.last_seen < excluded.last_seen;

-- name: page
SELECT nullif(tenant, '') AS tenant, letter, id, run, code, stage, reason, topic, attempts, size, first_seen,
       last_seen, redriven_at, redriven_run
FROM dead_letters
WHERE tenant = $1
  AND ($2::text IS NULL OR code = $2)
  AND ($3::text IS NULL OR id = $3)
  AND ($4::timestamptz IS NULL OR last_seen >= $4)
  AND ($5::timestamptz IS NULL OR last_seen < $5)
  AND ($6::boolean IS NULL OR (redriven_at IS NOT NULL) = $6)
  AND ($7::text[] IS NULL OR letter = ANY ($7))
  AND ($8::text IS NULL OR stage = $8)
  AND ($9::timestamptz IS NULL OR (last_seen, letter) < ($9, $10::text))
ORDER BY last_seen DESC, letter DESC
LIMIT $11;

-- name: page_of_all
-- The operator's, $1 NULL. A statement of its own, so that each has one plan: along its index, newest first.
SELECT nullif(tenant, '') AS tenant, letter, id, run, code, stage, reason, topic, attempts, size, first_seen,
       last_seen, redriven_at, redriven_run
FROM dead_letters
WHERE $1::text IS NULL
  AND ($2::text IS NULL OR code = $2)
  AND ($3::text IS NULL OR id = $3)
  AND ($4::timestamptz IS NULL OR last_seen >= $4)
  AND ($5::timestamptz IS NULL OR last_seen < $5)
  AND ($6::boolean IS NULL OR (redriven_at IS NOT NULL) = $6)
  AND ($7::text[] IS NULL OR letter = ANY ($7))
  AND ($8::text IS NULL OR stage = $8)
  AND ($9::timestamptz IS NULL OR (last_seen, letter) < ($9, $10::text))
ORDER BY last_seen DESC, letter DESC
LIMIT $11;

-- name: get
SELECT nullif(tenant, '') AS tenant, letter, id, run, code, stage, reason, topic, attempts, size, first_seen,
       last_seen, body, redriven_at, redriven_run
FROM dead_letters
WHERE ($1::text IS NULL OR tenant = $1) AND letter = ANY ($2::text[])
ORDER BY last_seen DESC, letter DESC;

-- name: rerun
-- One transaction decides who starts the run: the claim is locked, and only its failed run `run` is followed by the
-- next (rule L3). It waits until its time, so that wake alone produces it (rule L10). The body's hash stays: for the
-- sender the id still stands for what he sent; but its record is another source from now on, so that a redelivery of
-- it never goes on with this run. Where the id was forgotten meanwhile, its claim begins with the new run.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bytea[], $5::text[], $6::boolean[], $7::bytea[],
                $8::timestamptz[], $9::text[]) WITH ORDINALITY
      AS g (tenant, id, run, call, lane, fail_on_unknown, body_hash, not_before, letter, n)
), found AS (
    SELECT g.*, c.claim_epoch
    FROM given g
    JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.state, c.emitted_at
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON c.claim_run = g.run AND c.state IN ('failed', 'rejected') AND c.emitted_at IS NOT NULL
), restarted AS (
    UPDATE claims c
    SET run = f.run + 1, epoch = f.claim_epoch + 1, state = 'waiting', day = (now() AT TIME ZONE 'utc')::date,
        lane = f.lane, worker = NULL, dispatches = 0, attempts = 0, fail_on_unknown = f.fail_on_unknown,
        cancel_requested = false, source_topic = 'redriven:' || replace(c.source_topic, 'redriven:', ''),
        submitted_at = now(), deadline = NULL, claimed_at = now(), updated_at = now(), settled_at = NULL,
        emitted_at = NULL, settled_by = NULL, error_code = NULL
    FROM found f
    WHERE c.tenant = f.tenant AND c.id = f.id
), fresh AS (
    INSERT INTO claims (tenant, id, day, run, epoch, state, lane, dispatches, attempts, fail_on_unknown,
                        cancel_requested, body_hash, source_topic, source_partition, source_offset,
                        submitted_at, claimed_at, updated_at)
    SELECT tenant, id, (now() AT TIME ZONE 'utc')::date, run + 1, 1, 'waiting', lane, 0, 0, fail_on_unknown,
           false, body_hash, 'redriven:', 0, run, now(), now(), now()
    FROM given g
    WHERE NOT EXISTS (SELECT FROM claims c WHERE c.tenant = g.tenant AND c.id = g.id)
    ON CONFLICT (tenant, id) DO NOTHING
    RETURNING tenant, id
), started AS (
    SELECT f.*, f.claim_epoch + 1 AS epoch FROM found f
    UNION ALL
    SELECT g.*, 0, 1 FROM given g WHERE ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS TRUE
), stored AS (
    INSERT INTO bodies (tenant, id, run, day, claimed_at, call)
    SELECT tenant, id, run + 1, (now() AT TIME ZONE 'utc')::date, now(), call FROM started
), waits AS (
    INSERT INTO waiting (tenant, id, run, epoch, not_before, reason, lane)
    SELECT tenant, id, run + 1, epoch, not_before, 'redrive', lane FROM started
    ON CONFLICT (tenant, id) DO UPDATE
    SET run = excluded.run, epoch = excluded.epoch, not_before = excluded.not_before, reason = excluded.reason,
        lane = excluded.lane, gate = NULL
), marked AS (
    UPDATE dead_letters d
    SET redriven_at = now(), redriven_run = s.run + 1
    FROM started s
    WHERE d.tenant = s.tenant AND d.letter = s.letter
)
SELECT (n - 1)::integer AS n FROM started;

-- name: standing
-- Why a rerun did not start.
SELECT (g.n - 1)::integer AS n, c.run > g.run AS passed
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (tenant, id, run, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id;

-- name: sources
SELECT (g.n - 1)::integer AS n, replace(c.source_topic, 'redriven:', '') AS topic, c.source_partition, c.source_offset
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id
WHERE c.source_topic <> 'redriven:';

-- name: republish
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[]) WITH ORDINALITY
      AS g (tenant, letter, not_before, value, n)
), found AS MATERIALIZED (
    SELECT g.*
    FROM given g
    JOIN LATERAL (
        SELECT d.redriven_at
        FROM dead_letters d
        WHERE d.tenant = g.tenant AND d.letter = g.letter
        FOR NO KEY UPDATE
    ) d ON d.redriven_at IS NULL
), asked AS (
    UPDATE dead_letters d
    SET redriven_at = now(), publish_at = f.not_before, value = f.value
    FROM found f
    WHERE d.tenant = f.tenant AND d.letter = f.letter
)
SELECT (n - 1)::integer AS n FROM found;

-- name: due
-- Whoever asks has them for 30 s; a process that dies with them leaves them to the next.
WITH due AS MATERIALIZED (
    SELECT tenant, letter
    FROM dead_letters
    WHERE publish_at <= now()
    ORDER BY publish_at
    LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE dead_letters d
SET publish_at = now() + interval '30 seconds'
FROM due
WHERE d.tenant = due.tenant AND d.letter = due.letter
RETURNING nullif(d.tenant, '') AS tenant, d.letter, d.id, d.run, d.code, d.stage, d.reason, d.topic, d.attempts, d.size,
          d.first_seen, d.last_seen, d.body, d.redriven_at, d.redriven_run, d.value;

-- name: published
UPDATE dead_letters d
SET publish_at = NULL, value = NULL
FROM unnest($1::text[], $2::text[]) AS g (tenant, letter)
WHERE d.tenant = g.tenant AND d.letter = g.letter;
