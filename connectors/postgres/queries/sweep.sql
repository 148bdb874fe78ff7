-- Statements that bring requests back (rules L7, L10, L15). Claims are locked before the rows of the side tables.

-- name: wake
-- A wait that is due makes its request accepted; a look after another's lease does so only when the lease is dead,
-- and is repeated while it lives. Rows of a claim that has moved on are removed.
WITH due AS MATERIALIZED (
    SELECT tenant, id, run, epoch, not_before, reason, lane
    FROM waiting
    WHERE not_before <= now()
    ORDER BY not_before
    LIMIT $1
), found AS (
    SELECT d.*, c.*, w.expires_at
    FROM (SELECT * FROM due ORDER BY tenant, id) d
    JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.state, c.worker, c.day, c.updated_at
        FROM claims c
        WHERE c.tenant = d.tenant AND c.id = d.id
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
), judged AS (
    SELECT f.*,
           CASE
               WHEN state = 'waiting' AND claim_run = run AND claim_epoch = epoch THEN 'due'
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
    SET not_before = greatest(j.expires_at, now() + interval '1 second')
    FROM judged j
    WHERE w.tenant = j.tenant AND w.id = j.id AND w.epoch = j.epoch AND j.verdict = 'again'
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT tenant, id, now() + interval '30 seconds' FROM judged WHERE verdict = 'due'
    ON CONFLICT (tenant, id) DO UPDATE SET look_at = least(lookouts.look_at, excluded.look_at)
)
SELECT j.tenant, j.id, j.claim_run AS run, j.claim_epoch + 1 AS epoch, j.lane, b.call
FROM judged j
JOIN bodies b ON b.tenant = j.tenant AND b.id = j.id AND b.run = j.claim_run AND b.day = j.day
WHERE j.verdict = 'due'
ORDER BY j.not_before;

-- name: next_due
SELECT min(not_before) AS not_before FROM waiting;

-- name: patrol
-- Looks once at every request, 30 s after its claim, in the order of the claims; whatever is not finished by then
-- goes to the lookouts. A claim's statement ends long before (statement_timeout), so that none is overtaken.
-- Statements that wait for the one row of `patrol` would only repeat this one's work: they are skipped.
WITH mark AS MATERIALIZED (
    SELECT seen FROM patrol FOR UPDATE SKIP LOCKED
), page AS MATERIALIZED (
    SELECT b.tenant, b.id, b.claimed_at
    FROM mark
    CROSS JOIN LATERAL (
        SELECT b.tenant, b.id, b.claimed_at
        FROM bodies b
        WHERE b.day >= (mark.seen AT TIME ZONE 'utc')::date
          AND b.claimed_at > mark.seen AND b.claimed_at <= now() - interval '30 seconds'
        ORDER BY b.claimed_at
        FETCH FIRST $1 ROWS WITH TIES
    ) b
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT p.tenant, p.id, now()
    FROM (SELECT DISTINCT tenant, id FROM page ORDER BY tenant, id) p
    JOIN claims c ON c.tenant = p.tenant AND c.id = p.id
    WHERE c.emitted_at IS NULL
    ON CONFLICT (tenant, id) DO NOTHING
), moved AS (
    UPDATE patrol SET seen = (SELECT max(claimed_at) FROM page) WHERE EXISTS (SELECT FROM page)
)
SELECT count(*)::integer AS looked FROM page;

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
    JOIN claims c ON c.tenant = l.tenant AND c.id = l.id
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
SELECT f.tenant, f.id, f.run, f.epoch + (f.state = 'dispatched')::integer AS epoch, f.lane, b.call
FROM found f
JOIN bodies b ON b.tenant = f.tenant AND b.id = f.id AND b.run = f.run AND b.day = f.day;

-- name: overdue
WITH due AS MATERIALIZED (
    SELECT l.tenant, l.id, c.run, c.epoch, c.lane, c.day
    FROM lookouts l
    JOIN claims c ON c.tenant = l.tenant AND c.id = l.id
    LEFT JOIN workers w ON w.worker = c.worker
    WHERE l.look_at <= now() AND c.deadline <= now() AND c.settled_at IS NULL
      AND (c.state <> 'dispatched' OR w.expires_at IS NULL OR w.expires_at <= now())
    ORDER BY l.look_at
    LIMIT $1
    FOR UPDATE OF l SKIP LOCKED
), postponed AS (
    UPDATE lookouts l SET look_at = now() + interval '1 minute' FROM due d WHERE l.tenant = d.tenant AND l.id = d.id
)
SELECT d.tenant, d.id, d.run, d.epoch, d.lane, b.call
FROM due d
JOIN bodies b ON b.tenant = d.tenant AND b.id = d.id AND b.run = d.run AND b.day = d.day;

-- name: unemitted
WITH due AS MATERIALIZED (
    SELECT l.tenant, l.id, c.run, c.day
    FROM lookouts l
    JOIN claims c ON c.tenant = l.tenant AND c.id = l.id
    WHERE l.look_at <= now() AND c.settled_at <= now() - interval '10 seconds' AND c.emitted_at IS NULL
    ORDER BY l.look_at
    LIMIT $1
    FOR UPDATE OF l SKIP LOCKED
), postponed AS (
    UPDATE lookouts l SET look_at = now() + interval '1 minute' FROM due d WHERE l.tenant = d.tenant AND l.id = d.id
)
SELECT d.tenant, d.id, d.run, b.call, r.result,
       ARRAY(
           SELECT a.record
           FROM attempts a
           WHERE a.tenant = d.tenant AND a.id = d.id AND a.run = d.run AND a.day = d.day AND a.record IS NOT NULL
           ORDER BY a.attempt
       ) AS usage
FROM due d
JOIN bodies b ON b.tenant = d.tenant AND b.id = d.id AND b.run = d.run AND b.day = d.day
JOIN results r ON r.tenant = d.tenant AND r.id = d.id AND r.run = d.run AND r.day = d.day;
