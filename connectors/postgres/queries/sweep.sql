-- Statements that bring requests back (rules L7, L10, L15). Claims are locked before the rows of the side tables, but
-- for `wake`, which waits for neither.
-- OFFSET 0 keeps a join a look into the index for each row: the plan is made on empty tables (pool.py), where reading all
-- claims and then the few lookouts seems as good.
-- No statement that locks or changes rows reads a partitioned table: see docs/decisions/0006-claims-are-one-table.md.

-- name: wake
-- A wait that is due makes its request accepted; a look after another's lease does so only when the lease is dead,
-- and is repeated while it lives; so is a wait behind a request that asks the same. Rows of a claim that has moved on are
-- removed.
-- The waiting rows are locked first, against the order of the others: each of several workers gets the next batch in due
-- order instead of all the same one. Nothing is waited for here (SKIP LOCKED, twice), so that no two can deadlock.
WITH due AS MATERIALIZED (
    SELECT tenant, id, run, epoch, not_before, reason, lane, behind
    FROM waiting
    WHERE not_before <= now() AND gate IS NULL
    ORDER BY not_before
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), found AS (
    SELECT d.*, c.*, w.expires_at, coalesce(h.unsettled, false) AS follows
    FROM (SELECT * FROM due ORDER BY tenant, id) d
    JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.state, c.worker, c.day, c.updated_at
        FROM claims c
        WHERE c.tenant = d.tenant AND c.id = d.id
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
    -- joined and not asked for by EXISTS, which the planner may answer by reading all claims into a hash
    LEFT JOIN LATERAL (
        SELECT true AS unsettled
        FROM claims h
        WHERE h.tenant = d.tenant AND h.id = d.behind AND h.settled_at IS NULL
    ) h ON true
), judged AS (
    SELECT f.*,
           CASE
               WHEN state = 'waiting' AND claim_run = run AND claim_epoch = epoch
                   THEN CASE WHEN follows THEN 'again' ELSE 'due' END
               WHEN reason = 'lease' AND state = 'dispatched'
                   THEN CASE
                       WHEN expires_at > now() OR updated_at > now() - interval '1 second' THEN 'again'
                       ELSE 'due'
                   END
               ELSE 'over'
           END AS verdict
    FROM found f
), woken AS (
    UPDATE claims c
    SET state = 'accepted', epoch = j.claim_epoch + 1, worker = NULL, updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.verdict = 'due'
), removed AS (
    DELETE FROM waiting w
    USING judged j
    WHERE w.tenant = j.tenant AND w.id = j.id AND w.epoch = j.epoch AND j.verdict <> 'again'
), postponed AS (
    UPDATE waiting w
    SET not_before = CASE
        WHEN j.follows THEN now() + interval '15 seconds'
        ELSE greatest(j.expires_at, now() + interval '1 second')
    END
    FROM judged j
    WHERE w.tenant = j.tenant AND w.id = j.id AND w.epoch = j.epoch AND j.verdict = 'again'
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT tenant, id, now() + interval '30 seconds' FROM judged WHERE verdict = 'due'
    ON CONFLICT (tenant, id) DO UPDATE SET look_at = least(lookouts.look_at, excluded.look_at)
)
SELECT tenant, id, claim_run AS run, claim_epoch + 1 AS epoch, lane, day
FROM judged
WHERE verdict = 'due'
ORDER BY not_before;

-- name: next_due
SELECT min(not_before) AS not_before FROM waiting WHERE gate IS NULL;

-- name: patrol
-- $1 how far the patrol has come. Looks once at every request, 30 s after its claim, in the order of the claims;
-- whatever is not finished by then goes to the lookouts. A claim's statement ends long before (statement_timeout), so
-- that none is overtaken. Two at once do the same work twice, harmlessly.
WITH page AS MATERIALIZED (
    SELECT tenant, id, claimed_at
    FROM bodies
    WHERE day >= ($1::timestamptz AT TIME ZONE 'utc')::date
      AND claimed_at > $1 AND claimed_at <= now() - interval '30 seconds'
    ORDER BY claimed_at
    FETCH FIRST $2 ROWS WITH TIES
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT p.tenant, p.id, now()
    FROM (SELECT DISTINCT tenant, id FROM page ORDER BY tenant, id) p
    JOIN LATERAL (SELECT c.emitted_at FROM claims c WHERE c.tenant = p.tenant AND c.id = p.id OFFSET 0) c ON true
    WHERE c.emitted_at IS NULL
    ON CONFLICT (tenant, id) DO NOTHING
)
SELECT count(*)::integer AS looked, max(claimed_at) AS seen FROM page;

-- name: patrol_mark
SELECT seen FROM patrol;

-- name: patrol_moved
UPDATE patrol SET seen = $1 WHERE seen < $1;

-- name: calls
SELECT (g.n - 1)::integer AS n, b.call
FROM unnest($1::text[], $2::text[], $3::integer[], $4::date[]) WITH ORDINALITY AS g (tenant, id, run, day, n)
JOIN bodies b ON b.tenant = g.tenant AND b.id = g.id AND b.run = g.run AND b.day = g.day;

-- name: tidy
-- Due lookouts that need nobody now: removed when their request is over, put off otherwise.
WITH due AS MATERIALIZED (
    SELECT tenant, id FROM lookouts WHERE look_at <= now() ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED
), judged AS (
    SELECT d.tenant, d.id,
           CASE
               WHEN c.tenant IS NULL OR c.emitted_at IS NOT NULL THEN NULL
               WHEN c.settled_at IS NOT NULL THEN c.settled_at + interval '10 seconds'
               WHEN c.deadline <= now() AND (c.state <> 'dispatched' OR w.expires_at IS NULL OR w.expires_at <= now())
                   THEN '-infinity'
               WHEN c.state = 'accepted' THEN least(c.deadline, c.updated_at + interval '30 seconds')
               WHEN c.state = 'waiting' THEN least(c.deadline, now() + interval '5 minutes')
               WHEN w.expires_at > now() THEN now() + interval '30 seconds'
               ELSE '-infinity'
           END AS look_at
    FROM due d
    LEFT JOIN claims c ON c.tenant = d.tenant AND c.id = d.id
    LEFT JOIN workers w ON w.worker = c.worker
), removed AS (
    DELETE FROM lookouts l USING judged j WHERE l.tenant = j.tenant AND l.id = j.id AND j.look_at IS NULL
)
UPDATE lookouts l SET look_at = j.look_at
FROM judged j
WHERE l.tenant = j.tenant AND l.id = j.id AND j.look_at > now();

-- name: stray
WITH due AS MATERIALIZED (
    SELECT l.tenant, l.id
    FROM lookouts l
    JOIN LATERAL (
        SELECT c.state, c.worker, c.deadline, c.updated_at FROM claims c WHERE c.tenant = l.tenant AND c.id = l.id OFFSET 0
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
    WHERE l.look_at <= now() AND (c.deadline IS NULL OR c.deadline > now())
      AND (c.state = 'accepted' AND c.updated_at <= now() - interval '30 seconds'
           OR c.state = 'dispatched' AND (w.expires_at IS NULL OR w.expires_at <= now()))
    ORDER BY l.look_at
    LIMIT $1
), found AS (
    SELECT d.*, c.*
    FROM (SELECT * FROM due ORDER BY tenant, id) d
    JOIN LATERAL (
        SELECT c.run, c.epoch, c.state, c.worker, c.lane, c.day, c.claimed_at, c.updated_at
        FROM claims c
        WHERE c.tenant = d.tenant AND c.id = d.id
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
    WHERE c.state = 'accepted' AND c.updated_at <= now() - interval '30 seconds'
       OR c.state = 'dispatched' AND (w.expires_at IS NULL OR w.expires_at <= now())
          AND c.updated_at <= now() - interval '1 second'
), returned AS (
    UPDATE claims c
    SET state = 'accepted', epoch = f.epoch + (f.state = 'dispatched')::integer, worker = NULL, updated_at = now()
    FROM found f
    WHERE c.tenant = f.tenant AND c.id = f.id
), postponed AS (
    UPDATE lookouts l
    SET look_at = now() + greatest(interval '5 minutes', now() - f.claimed_at)
    FROM found f
    WHERE l.tenant = f.tenant AND l.id = f.id
)
SELECT tenant, id, run, epoch + (state = 'dispatched')::integer AS epoch, lane, day FROM found;

-- name: overdue
WITH due AS MATERIALIZED (
    SELECT l.tenant, l.id, c.run, c.epoch, c.lane, c.day
    FROM lookouts l
    JOIN LATERAL (
        SELECT c.run, c.epoch, c.lane, c.day, c.state, c.worker, c.deadline, c.settled_at
        FROM claims c
        WHERE c.tenant = l.tenant AND c.id = l.id
        OFFSET 0
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
    WHERE l.look_at <= now() AND c.deadline <= now() AND c.settled_at IS NULL
      AND (c.state <> 'dispatched' OR w.expires_at IS NULL OR w.expires_at <= now())
    ORDER BY l.look_at
    LIMIT $1
    FOR UPDATE OF l SKIP LOCKED
), postponed AS (
    UPDATE lookouts l SET look_at = now() + interval '1 minute' FROM due d WHERE l.tenant = d.tenant AND l.id = d.id
)
SELECT tenant, id, run, epoch, lane, day FROM due;

-- name: unemitted
WITH due AS MATERIALIZED (
    SELECT l.tenant, l.id, c.run, c.day
    FROM lookouts l
    JOIN LATERAL (
        SELECT c.run, c.day, c.settled_at, c.emitted_at FROM claims c WHERE c.tenant = l.tenant AND c.id = l.id OFFSET 0
    ) c ON true
    WHERE l.look_at <= now() AND c.settled_at <= now() - interval '10 seconds' AND c.emitted_at IS NULL
    ORDER BY l.look_at
    LIMIT $1
    FOR UPDATE OF l SKIP LOCKED
), postponed AS (
    UPDATE lookouts l SET look_at = now() + interval '1 minute' FROM due d WHERE l.tenant = d.tenant AND l.id = d.id
)
SELECT tenant, id, run, day FROM due;

-- name: outgrown
-- Tables that are twice as large as the planner was told, and more than small.
SELECT c.relname AS name
FROM pg_class c
WHERE c.oid = ANY ($1::text[]::regclass[]) AND pg_relation_size(c.oid) > 16384 * greatest(c.relpages, 10);
