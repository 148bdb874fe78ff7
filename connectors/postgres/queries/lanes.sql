-- Who waits for a place of a lane, a tenant or a key, and who is in flight.

-- name: gates
-- Gates that somebody waits for, $3 at most, after ($1, $2) in order; one look into the index for each.
WITH RECURSIVE found AS (
    (SELECT tenant, gate FROM waiting WHERE gate IS NOT NULL AND (tenant, gate) > ($1, $2)
     ORDER BY tenant, gate LIMIT 1)
    UNION ALL
    SELECT n.tenant, n.gate
    FROM found f
    CROSS JOIN LATERAL (
        SELECT w.tenant, w.gate FROM waiting w WHERE w.gate IS NOT NULL AND (w.tenant, w.gate) > (f.tenant, f.gate)
        ORDER BY w.tenant, w.gate LIMIT 1
    ) n
)
SELECT tenant, gate FROM found LIMIT $3;

-- name: let_in
-- Of each gate as many as it has places, the earliest deadline first, then who came first. As `wake` otherwise.
WITH due AS MATERIALIZED (
    SELECT g.n, w.*
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (tenant, gate, places, n)
    CROSS JOIN LATERAL (
        SELECT w.tenant, w.id, w.run, w.epoch, w.not_before, w.deadline, w.lane
        FROM waiting w
        WHERE w.tenant = g.tenant AND w.gate = g.gate
        ORDER BY w.deadline, w.not_before
        LIMIT g.places
        FOR UPDATE SKIP LOCKED
    ) w
), found AS (
    SELECT d.*, c.*, row_number() OVER (PARTITION BY d.n ORDER BY d.deadline, d.not_before) AS turn
    FROM (SELECT * FROM due ORDER BY tenant, id) d
    JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.state, c.day
        FROM claims c
        WHERE c.tenant = d.tenant AND c.id = d.id
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ON true
), judged AS (
    SELECT f.*, state = 'waiting' AND claim_run = run AND claim_epoch = epoch AS is_due FROM found f
), released AS (
    UPDATE claims c
    SET state = 'accepted', epoch = j.claim_epoch + 1, worker = NULL, updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.is_due
), removed AS (
    DELETE FROM waiting w USING judged j WHERE w.tenant = j.tenant AND w.id = j.id AND w.epoch = j.epoch
), watched AS (
    INSERT INTO lookouts (tenant, id, look_at)
    SELECT tenant, id, now() + interval '30 seconds' FROM judged WHERE is_due
    ON CONFLICT (tenant, id) DO UPDATE SET look_at = least(lookouts.look_at, excluded.look_at)
)
SELECT tenant, id, claim_run AS run, claim_epoch + 1 AS epoch, lane, day
FROM judged
WHERE is_due
ORDER BY turn, n;

-- name: in_flight
-- All that is handed on or in the hands of a worker: as queues.sql finds what is unfinished.
WITH mine AS (
    SELECT tenant, id
    FROM bodies
    WHERE day >= ((SELECT seen FROM patrol) AT TIME ZONE 'utc')::date AND claimed_at > (SELECT seen FROM patrol)
    UNION
    SELECT tenant, id FROM lookouts
), found AS MATERIALIZED (
    SELECT c.tenant, c.id, c.run, c.lane, c.day
    FROM mine
    JOIN LATERAL (
        SELECT c.tenant, c.id, c.run, c.lane, c.day, c.state
        FROM claims c
        WHERE c.tenant = mine.tenant AND c.id = mine.id
        OFFSET 0
    ) c ON true
    WHERE c.state IN ('accepted', 'dispatched')
    LIMIT $1
)
SELECT f.tenant, f.lane, f.id, f.run, convert_from(b.call, 'UTF8')::json ->> 'api_key_id' AS api_key_id
FROM found f
JOIN bodies b ON b.tenant = f.tenant AND b.id = f.id AND b.run = f.run AND b.day = f.day;

-- name: ended
SELECT (g.n - 1)::integer AS n
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (tenant, id, run, n)
LEFT JOIN claims c ON c.tenant = g.tenant AND c.id = g.id
WHERE c.tenant IS NULL OR c.run <> g.run OR c.state NOT IN ('accepted', 'dispatched');
