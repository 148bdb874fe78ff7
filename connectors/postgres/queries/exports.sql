-- Exports into a bucket and their schedules. Few and slow beside all else: a row is written some times a minute.

-- name: add
INSERT INTO export_jobs (tenant, id, schedule, format, since, until, template, status, fields, state, detail,
                         created_at, due_at, asked)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::text[], 'queued', '', $10, $11, $13
WHERE (SELECT count(*) FROM export_jobs WHERE tenant = $1 AND ended_at IS NULL) < $12
ON CONFLICT (tenant, id) DO NOTHING
RETURNING id;

-- name: get
SELECT * FROM export_jobs WHERE tenant = $1 AND id = $2;

-- name: page
SELECT *
FROM export_jobs
WHERE tenant = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::text))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: cancel
UPDATE export_jobs SET state = 'cancelled', detail = '', ended_at = $3
WHERE tenant = $1 AND id = $2 AND ended_at IS NULL
RETURNING id;

-- name: take
WITH due AS (
    SELECT j.tenant, j.id
    FROM export_jobs j
    WHERE j.ended_at IS NULL AND j.due_at <= $1
    ORDER BY (
        SELECT count(*) FROM export_jobs r
        WHERE r.tenant = j.tenant AND r.ended_at IS NULL AND r.state = 'running' AND r.due_at > $1
    ), j.due_at
    LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
)
UPDATE export_jobs j
SET state = 'running', detail = '', fence = j.fence + 1, tries = j.tries + 1, due_at = $2,
    started_at = coalesce(j.started_at, $1)
FROM due d
WHERE j.tenant = d.tenant AND j.id = d.id AND j.ended_at IS NULL AND j.due_at <= $1
RETURNING j.*;

-- name: hold
-- A job that came further begins to count its tries anew.
UPDATE export_jobs
SET due_at = $4, tries = CASE WHEN $6 > bytes THEN 0 ELSE tries END,
    rows = $5, bytes = $6, total = $7, after = $8, key = $9, upload = $10, parts = $11::text[]
WHERE tenant = $1 AND id = $2 AND fence = $3 AND state = 'running'
RETURNING id;

-- name: wait
UPDATE export_jobs
SET state = 'queued', due_at = $4, rows = $5, bytes = $6, total = $7, after = $8, key = $9, upload = $10,
    parts = $11::text[], detail = $12
WHERE tenant = $1 AND id = $2 AND fence = $3 AND state = 'running'
RETURNING id;

-- name: end
UPDATE export_jobs
SET ended_at = $4, rows = $5, bytes = $6, total = $7, after = $8, key = $9, upload = $10, parts = $11::text[],
    detail = $12, state = $13
WHERE tenant = $1 AND id = $2 AND fence = $3 AND state = 'running'
RETURNING id;

-- name: leftovers
SELECT * FROM export_jobs
WHERE ended_at IS NOT NULL AND state <> 'completed' AND key IS NOT NULL
ORDER BY ended_at
LIMIT $1;

-- name: cleaned
UPDATE export_jobs SET key = NULL, upload = NULL, parts = '{}' WHERE tenant = $1 AND id = $2 AND ended_at IS NOT NULL;

-- name: ended_before
SELECT * FROM export_jobs WHERE ended_at < $1 ORDER BY ended_at LIMIT $2;

-- name: forget
DELETE FROM export_jobs WHERE tenant = $1 AND id = $2 AND ended_at IS NOT NULL;

-- name: backlog
SELECT count(*)::integer AS waiting, min(due_at) AS due_since FROM export_jobs WHERE ended_at IS NULL;

-- name: create_schedule
INSERT INTO export_schedules (tenant, name, cron, zone, format, template, status, fields, created_at, done_until,
                              next_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8::text[], $9, $10, $11
WHERE (SELECT count(*) FROM export_schedules WHERE tenant = $1) < $12
ON CONFLICT (tenant, name) DO NOTHING
RETURNING name;

-- name: schedules
SELECT * FROM export_schedules WHERE tenant = $1 ORDER BY name;

-- name: pause_schedule
UPDATE export_schedules SET paused_at = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE coalesce(paused_at, $3) END
WHERE tenant = $1 AND name = $2
RETURNING name;

-- name: delete_schedule
DELETE FROM export_schedules WHERE tenant = $1 AND name = $2 RETURNING name;

-- name: due_schedules
SELECT * FROM export_schedules WHERE paused_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $2;

-- name: run_schedule
WITH moved AS (
    UPDATE export_schedules SET done_until = $13, next_at = $14, last_job = $2
    WHERE tenant = $1 AND name = $3 AND next_at = $12 AND paused_at IS NULL
    RETURNING tenant
)
INSERT INTO export_jobs (tenant, id, schedule, format, since, until, template, status, fields, state, detail,
                         created_at, due_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::text[], 'queued', '', $10, $11 FROM moved
RETURNING id;
