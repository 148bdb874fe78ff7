-- Endpoints of webhooks. Every change of what is subscribed raises the version, which each batch of records asks for.

-- name: add
WITH changed AS (
    UPDATE webhook_version SET version = version + 1 WHERE only_row
), lane AS (
    INSERT INTO delivery_lanes (tenant, endpoint, next_at, at_once, every)
    SELECT $1, $2, 'infinity', $12, $13::interval WHERE $12::integer > 1
)
INSERT INTO webhook_endpoints
  (tenant, id, url, events, fields, description, salt, enabled, created_at, kind, bucket, sealed, redact)
VALUES ($1, $2, $3, $4, $5, $6, $7, true, $8, $9, $10::text::jsonb, $11, $14);

-- name: get
SELECT *, bucket::text AS place FROM webhook_endpoints WHERE tenant = $1 AND id = $2;

-- name: page
SELECT *, bucket::text AS place
FROM webhook_endpoints
WHERE tenant = $1 AND ($5::text IS NULL OR kind = $5) AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::text))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: change
WITH changed AS (
    UPDATE webhook_version SET version = version + 1 WHERE only_row
), lane AS (
    INSERT INTO delivery_lanes AS l (tenant, endpoint, next_at, paused, at_once, every)
    SELECT tenant, id, 'infinity', coalesce($8, paused), CASE WHEN kind = 's3' THEN $11 ELSE 1 END,
           coalesce($12::interval, '0')
    FROM webhook_endpoints
    WHERE tenant = $1 AND id = $2 AND ($8::boolean IS NOT NULL OR $12::interval IS NOT NULL)
    ON CONFLICT (tenant, endpoint) DO UPDATE SET paused = excluded.paused, every = coalesce($12::interval, l.every)
)
UPDATE webhook_endpoints
SET url = coalesce($3, url),
    events = coalesce($4, events),
    fields = CASE WHEN $5::text[] IS NULL THEN fields WHEN cardinality($5::text[]) = 0 THEN NULL ELSE $5 END,
    description = coalesce($6, description),
    enabled = coalesce($7, enabled),
    disabled = CASE WHEN $7 THEN NULL ELSE disabled END,
    untold = untold AND NOT coalesce($7, false),
    failing_since = CASE WHEN $7 THEN NULL ELSE failing_since END,
    paused = coalesce($8, paused),
    bucket = coalesce($9::text::jsonb, bucket),
    sealed = coalesce($10, sealed),
    redact = coalesce($13, redact)
WHERE tenant = $1 AND id = $2
RETURNING *, bucket::text AS place;

-- name: rotate
UPDATE webhook_endpoints
SET old_salt = salt, old_until = $4, salt = $3
WHERE tenant = $1 AND id = $2
RETURNING *, bucket::text AS place;

-- name: delete
-- Its queue goes with it; the log stays as long as it is kept, for nobody.
WITH changed AS (
    UPDATE webhook_version SET version = version + 1 WHERE only_row
), emptied AS (
    DELETE FROM delivery_queue WHERE tenant = $1 AND endpoint = $2
), closed AS (
    DELETE FROM delivery_lanes WHERE tenant = $1 AND endpoint = $2
)
DELETE FROM webhook_endpoints WHERE tenant = $1 AND id = $2 RETURNING id;

-- name: version
SELECT version FROM webhook_version WHERE only_row;

-- name: subscriptions
SELECT v.version, e.*, e.bucket::text AS place
FROM webhook_version v
LEFT JOIN webhook_endpoints e ON e.enabled
WHERE v.only_row;

-- name: mark
-- Only the first of its kind changes a row, and one in ten seconds: an endpoint that fails again is as it was.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::integer[], $7::text[])
      AS g (tenant, endpoint, failing_since, disabled, at, status, error)
), locked AS MATERIALIZED (
    SELECT e.tenant, e.id, g.failing_since, g.disabled, g.at, g.status, g.error
    FROM given g
    JOIN webhook_endpoints e ON e.tenant = g.tenant AND e.id = g.endpoint
    WHERE e.enabled
    ORDER BY e.tenant, e.id
    FOR NO KEY UPDATE OF e
), changed AS (
    UPDATE webhook_version SET version = version + 1
    WHERE only_row AND EXISTS (SELECT FROM locked WHERE disabled IS NOT NULL)
)
UPDATE webhook_endpoints e
SET failing_since = CASE WHEN l.failing_since IS NULL THEN NULL ELSE coalesce(e.failing_since, l.failing_since) END,
    enabled = l.disabled IS NULL, disabled = l.disabled, untold = l.disabled IS NOT NULL,
    last_success_at = CASE WHEN l.failing_since IS NULL THEN greatest(l.at, e.last_success_at) ELSE e.last_success_at END,
    last_error_at = CASE WHEN l.failing_since IS NULL THEN e.last_error_at ELSE coalesce(l.at, e.last_error_at) END,
    last_status = CASE WHEN l.failing_since IS NULL THEN e.last_status ELSE l.status END,
    last_error = CASE WHEN l.failing_since IS NULL THEN e.last_error ELSE l.error END
FROM locked l
WHERE e.tenant = l.tenant AND e.id = l.id;

-- name: untold
SELECT *, bucket::text AS place FROM webhook_endpoints WHERE untold ORDER BY tenant, id LIMIT 1000;

-- name: told
UPDATE webhook_endpoints e SET untold = false
FROM unnest($1::text[], $2::text[]) AS g (tenant, id)
WHERE e.tenant = g.tenant AND e.id = g.id;
