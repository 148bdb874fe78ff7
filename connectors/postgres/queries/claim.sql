-- Statements of the claim (rules L1-L3). Arrays in, in the order of (tenant, id); rows out.
-- `(…) IN (SELECT …)` inside IS TRUE becomes one hashed lookup; as a plain condition it would become a join, which
-- is quadratic with the planner's switches of pool.py.

-- name: claim
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::integer[], $6::bigint[], $7::bytea[],
                $8::text[], $9::timestamptz[], $10::timestamptz[], $11::boolean[]) WITH ORDINALITY
      AS g (tenant, id, body_hash, source_topic, source_partition, source_offset, call,
            lane, submitted_at, deadline, fail_on_unknown, n)
), fresh AS (
    INSERT INTO claims (tenant, id, day, run, epoch, state, lane, dispatches, attempts, fail_on_unknown,
                        cancel_requested, body_hash, source_topic, source_partition, source_offset,
                        submitted_at, deadline, claimed_at, updated_at)
    SELECT tenant, id, (now() AT TIME ZONE 'utc')::date, 1, 0, 'accepted', lane, 0, 0, fail_on_unknown,
           ((tenant, id) IN (SELECT tenant, id FROM cancels)) IS TRUE,
           body_hash, source_topic, source_partition, source_offset, submitted_at, deadline, now(), now()
    FROM given
    ON CONFLICT (tenant, id) DO NOTHING
    RETURNING tenant, id, cancel_requested
), stored AS (
    INSERT INTO bodies (tenant, id, run, day, claimed_at, call)
    SELECT tenant, id, 1, (now() AT TIME ZONE 'utc')::date, now(), call
    FROM given
    WHERE ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS TRUE
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT tenant, id, deadline
    FROM given
    WHERE deadline IS NOT NULL AND ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS TRUE
    ON CONFLICT (tenant, id) DO NOTHING
)
-- the rows that existed, and of the new ones those that somebody cancelled before their claim
SELECT (n - 1)::integer AS n, ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS TRUE AS cancelled
FROM given
WHERE ((tenant, id) IN (SELECT tenant, id FROM fresh WHERE NOT cancel_requested)) IS NOT TRUE;

-- name: existing
SELECT (g.n - 1)::integer AS n, c.run, c.epoch, c.state, c.body_hash, c.settled_by, c.emitted_at, c.cancel_requested,
       c.dispatches > 0 OR c.attempts > 0 AS dispatched, c.source_topic, c.source_partition, c.source_offset, r.result
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id
LEFT JOIN results r ON c.settled_at IS NOT NULL
    AND r.tenant = c.tenant AND r.id = c.id AND r.run = c.run AND r.day = c.day;

-- name: rerun
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bytea[], $5::text[], $6::integer[], $7::bigint[],
                $8::bytea[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::boolean[]) WITH ORDINALITY
      AS g (tenant, id, run, body_hash, source_topic, source_partition, source_offset,
            call, lane, submitted_at, deadline, fail_on_unknown, n)
), found AS (
    SELECT g.*, c.claim_run, c.claim_epoch
    FROM given g
    JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.state
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON c.claim_run = g.run AND c.state IN ('failed', 'rejected')
), restarted AS (
    UPDATE claims c
    SET run = f.claim_run + 1, epoch = f.claim_epoch + 1, state = 'accepted', day = (now() AT TIME ZONE 'utc')::date,
        lane = f.lane, worker = NULL, dispatches = 0, attempts = 0, fail_on_unknown = f.fail_on_unknown,
        cancel_requested = false, followed = false, body_hash = f.body_hash, source_topic = f.source_topic,
        source_partition = f.source_partition, source_offset = f.source_offset, submitted_at = f.submitted_at,
        deadline = f.deadline, claimed_at = now(), updated_at = now(), settled_at = NULL, emitted_at = NULL,
        settled_by = NULL, error_code = NULL
    FROM found f
    WHERE c.tenant = f.tenant AND c.id = f.id
), stored AS (
    INSERT INTO bodies (tenant, id, run, day, claimed_at, call)
    SELECT tenant, id, claim_run + 1, (now() AT TIME ZONE 'utc')::date, now(), call FROM found
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT tenant, id, deadline FROM found WHERE deadline IS NOT NULL
    ON CONFLICT (tenant, id) DO UPDATE SET look_at = least(lookouts.look_at, excluded.look_at)
)
SELECT (n - 1)::integer AS n, claim_run + 1 AS run, claim_epoch + 1 AS epoch FROM found;
