-- The durable queue of deliveries (docs/decisions/0027-a-queue-of-lanes.md). Whoever makes a row due also brings its
-- lane forward; only who holds the lane puts it back. Arrays come in the order of the key (rule L16).

-- name: put
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[], $6::timestamptz[], $7::text[], $8::bytea[])
      AS g (tenant, endpoint, id, day, type, at, url, body)
), fresh AS (
    INSERT INTO deliveries (tenant, endpoint, id, day, type, at, created_at, url, body)
    SELECT tenant, endpoint, id, day, type, at, $9::timestamptz, url, body FROM given
    ON CONFLICT (tenant, endpoint, id, day) DO NOTHING
    RETURNING tenant, endpoint, id, day
), queued AS (
    INSERT INTO delivery_queue (tenant, endpoint, id, day, tried, next_at, since)
    SELECT tenant, endpoint, id, day, 0, $9, $9 FROM fresh
    ON CONFLICT (tenant, endpoint, id) DO NOTHING
), brought AS (
    INSERT INTO delivery_lanes AS l (tenant, endpoint, next_at)
    SELECT DISTINCT tenant, endpoint, $9::timestamptz FROM fresh ORDER BY tenant, endpoint
    ON CONFLICT (tenant, endpoint) DO UPDATE SET next_at = excluded.next_at + l.every
    WHERE l.next_at > excluded.next_at + l.every
)
SELECT count(*)::integer AS fresh FROM fresh;

-- name: lanes
-- Lanes that are due, held until the end of the transaction: nobody else takes from them, or puts them back.
SELECT l.tenant, l.endpoint, l.at_once,
       coalesce(($1::jsonb ->> (l.tenant || ' ' || l.endpoint))::integer, $2) * l.at_once AS room
FROM delivery_lanes l
WHERE NOT l.paused AND l.next_at <= $3 AND coalesce(($1::jsonb ->> (l.tenant || ' ' || l.endpoint))::integer, $2) > 0
ORDER BY l.next_at
LIMIT $4
FOR UPDATE SKIP LOCKED;

-- name: take
-- A statement of its own, after the lanes are held: its snapshot sees all that was put before.
WITH lanes AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $8::integer[], $3::integer[])
      WITH ORDINALITY AS g (tenant, endpoint, at_once, room, n)
), sized AS (
    SELECT l.n, q.*, coalesce(octet_length(x.body), 0) AS size
    FROM lanes l
    CROSS JOIN LATERAL (
        SELECT q.tenant, q.endpoint, q.id, q.day, q.tried, q.next_at
        FROM delivery_queue q
        WHERE q.tenant = l.tenant AND q.endpoint = l.endpoint AND q.next_at <= $4
        ORDER BY q.next_at
        LIMIT l.room
    ) q
    LEFT JOIN deliveries x ON x.tenant = q.tenant AND x.endpoint = q.endpoint AND x.id = q.id AND x.day = q.day
), due AS MATERIALIZED (
    SELECT s.*
    FROM (
        SELECT tenant, endpoint, id, day, tried,
               sum(size) OVER (ORDER BY n, next_at, id ROWS UNBOUNDED PRECEDING) - size AS before
        FROM sized
        ORDER BY n, next_at, id
        LIMIT $6 * (SELECT max(at_once) FROM lanes)
    ) s
    WHERE s.before < $7
), leased AS (
    UPDATE delivery_queue q SET next_at = $5
    FROM due d
    WHERE q.tenant = d.tenant AND q.endpoint = d.endpoint AND q.id = d.id
), moved AS (
    UPDATE delivery_lanes l
    SET next_at = least(rest.next_at, CASE WHEN rest.taken > 0 THEN $5 ELSE 'infinity' END)
    FROM (
        SELECT g.tenant, g.endpoint, t.taken, coalesce((
            SELECT q.next_at
            FROM delivery_queue q
            WHERE q.tenant = g.tenant AND q.endpoint = g.endpoint
            ORDER BY q.next_at
            OFFSET t.taken
            LIMIT 1
        ), 'infinity') AS next_at
        FROM lanes g
        CROSS JOIN LATERAL (
            SELECT count(*) AS taken FROM due d WHERE d.tenant = g.tenant AND d.endpoint = g.endpoint
        ) t
    ) rest
    WHERE l.tenant = rest.tenant AND l.endpoint = rest.endpoint
)
SELECT d.tenant, d.endpoint, d.id, d.day, d.tried, x.type, x.body, x.url AS callback,
       e.id AS target, e.url, e.events, e.salt, e.old_salt, e.old_until, e.enabled, e.failing_since,
       e.created_at, e.kind, e.bucket::text AS bucket, e.sealed, e.last_success_at, e.last_error_at
FROM due d
JOIN deliveries x ON x.tenant = d.tenant AND x.endpoint = d.endpoint AND x.id = d.id AND x.day = d.day
LEFT JOIN webhook_endpoints e ON e.tenant = d.tenant AND e.id = d.endpoint;

-- name: settle
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::timestamptz[], $6::text[], $7::integer[],
                $8::integer[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::timestamptz[])
      AS g (tenant, endpoint, id, day, at, outcome, ms, status, request, head, error, tried, again)
), logged AS (
    INSERT INTO delivery_attempts (tenant, endpoint, id, day, at, outcome, ms, status, request, head, error)
    SELECT tenant, endpoint, id, day, at, outcome, ms, status, request, head, error FROM given
    ON CONFLICT (tenant, endpoint, id, day, at) DO NOTHING
), done AS (
    DELETE FROM delivery_queue q
    USING given g
    WHERE q.tenant = g.tenant AND q.endpoint = g.endpoint AND q.id = g.id AND g.again IS NULL
), later AS (
    UPDATE delivery_queue q SET tried = g.tried, next_at = g.again
    FROM given g
    WHERE q.tenant = g.tenant AND q.endpoint = g.endpoint AND q.id = g.id AND g.again IS NOT NULL
)
INSERT INTO delivery_lanes AS l (tenant, endpoint, next_at)
SELECT tenant, endpoint, min(again) FROM given WHERE again IS NOT NULL GROUP BY tenant, endpoint ORDER BY 1, 2
ON CONFLICT (tenant, endpoint) DO UPDATE SET next_at = excluded.next_at WHERE l.next_at > excluded.next_at;

-- name: again
WITH found AS (
    SELECT tenant, endpoint, id, day FROM deliveries WHERE tenant = $1 AND endpoint = $2 AND id = $3
), queued AS (
    INSERT INTO delivery_queue (tenant, endpoint, id, day, tried, next_at, since)
    SELECT tenant, endpoint, id, day, 0, $4, $4 FROM found
    ON CONFLICT (tenant, endpoint, id) DO UPDATE SET tried = 0, next_at = excluded.next_at
), brought AS (
    INSERT INTO delivery_lanes AS l (tenant, endpoint, next_at)
    SELECT tenant, endpoint, $4 FROM found
    ON CONFLICT (tenant, endpoint) DO UPDATE SET next_at = excluded.next_at WHERE l.next_at > excluded.next_at
)
SELECT id FROM found;

-- name: again_all
-- What somebody may have taken is due within a minute anyway, and is left alone.
WITH later AS (
    UPDATE delivery_queue SET tried = 0, next_at = $4
    WHERE tenant = $1 AND endpoint = $2 AND next_at > $4::timestamptz + interval '1 minute'
    RETURNING id
), failed AS (
    SELECT d.tenant, d.endpoint, d.id, d.day
    FROM deliveries d
    WHERE d.tenant = $1 AND d.endpoint = $2 AND d.created_at >= $3
      AND NOT EXISTS (
          SELECT FROM delivery_queue q WHERE q.tenant = d.tenant AND q.endpoint = d.endpoint AND q.id = d.id
      )
      AND NOT EXISTS (
          SELECT FROM delivery_attempts a
          WHERE a.tenant = d.tenant AND a.endpoint = d.endpoint AND a.id = d.id AND a.day = d.day
            AND a.outcome = 'delivered'
      )
    ORDER BY d.created_at, d.id
    LIMIT $5
), queued AS (
    INSERT INTO delivery_queue (tenant, endpoint, id, day, tried, next_at, since)
    SELECT tenant, endpoint, id, day, 0, $4, $4 FROM failed ORDER BY id
    ON CONFLICT (tenant, endpoint, id) DO NOTHING
), brought AS (
    INSERT INTO delivery_lanes AS l (tenant, endpoint, next_at)
    SELECT $1, $2, $4::timestamptz WHERE EXISTS (SELECT FROM later) OR EXISTS (SELECT FROM failed)
    ON CONFLICT (tenant, endpoint) DO UPDATE SET next_at = excluded.next_at WHERE l.next_at > excluded.next_at
)
SELECT (SELECT count(*)::integer FROM later) AS later, (SELECT count(*)::integer FROM failed) AS failed;

-- name: queued
SELECT g.endpoint, q.waiting, q.since
FROM unnest($2::text[]) AS g (endpoint)
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS waiting, min(since) AS since
    FROM (SELECT since FROM delivery_queue WHERE tenant = $1 AND endpoint = g.endpoint LIMIT $3) counted
) q
WHERE q.waiting > 0;

-- name: crowded
-- Destinations that accept nothing and that more waits for than $1.
SELECT l.tenant, l.endpoint, e.id IS NOT NULL AS known
FROM delivery_lanes l
LEFT JOIN webhook_endpoints e ON e.tenant = l.tenant AND e.id = l.endpoint
WHERE (e.id IS NULL OR e.failing_since IS NOT NULL OR e.paused)
  AND EXISTS (SELECT FROM delivery_queue OFFSET $1 LIMIT 1)
  AND EXISTS (
      SELECT FROM delivery_queue q
      WHERE q.tenant = l.tenant AND q.endpoint = l.endpoint AND (e.id IS NOT NULL OR q.since < $2)
      OFFSET $1
      LIMIT 1
  )
ORDER BY l.tenant, l.endpoint;

-- name: give_up
WITH over AS (
    SELECT tenant, endpoint, id
    FROM delivery_queue
    WHERE tenant = $1 AND endpoint = $2 AND ($3 OR since < $4)
    ORDER BY since DESC, id DESC
    OFFSET $5
    LIMIT $6
), gone AS (
    DELETE FROM delivery_queue q
    USING over o
    WHERE q.tenant = o.tenant AND q.endpoint = o.endpoint AND q.id = o.id
    RETURNING q.tenant, q.endpoint, q.id, q.day
), logged AS (
    INSERT INTO delivery_attempts (tenant, endpoint, id, day, at, outcome, ms, request, head, error)
    SELECT tenant, endpoint, id, day, $7, 'dropped', 0, '', '', $8 FROM gone
    ON CONFLICT (tenant, endpoint, id, day, at) DO NOTHING
), told AS (
    UPDATE webhook_endpoints SET given_up = given_up + (SELECT count(*) FROM gone) WHERE tenant = $1 AND id = $2
)
SELECT count(*)::integer AS gone FROM gone;

-- name: page
SELECT d.id, d.type, d.at AS event_at, d.created_at, q.next_at, q.id IS NOT NULL AS waiting, a.*
FROM (
    SELECT tenant, endpoint, id, day, type, at, created_at
    FROM deliveries
    WHERE tenant = $1 AND endpoint = $2 AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::text))
    ORDER BY created_at DESC, id DESC
    LIMIT $5
) d
LEFT JOIN delivery_queue q ON q.tenant = d.tenant AND q.endpoint = d.endpoint AND q.id = d.id
LEFT JOIN LATERAL (
    SELECT a.at, a.outcome, a.ms, a.status, a.request, a.head, a.error
    FROM delivery_attempts a
    WHERE a.tenant = d.tenant AND a.endpoint = d.endpoint AND a.id = d.id AND a.day = d.day
    ORDER BY a.at DESC
    LIMIT 1
) a ON true
ORDER BY d.created_at DESC, d.id DESC;

-- name: get
SELECT d.id, d.type, d.at AS event_at, d.created_at, d.body, q.next_at, q.id IS NOT NULL AS waiting,
       a.at, a.outcome, a.ms, a.status, a.request, a.head, a.error
FROM deliveries d
LEFT JOIN delivery_queue q ON q.tenant = d.tenant AND q.endpoint = d.endpoint AND q.id = d.id
LEFT JOIN delivery_attempts a ON a.tenant = d.tenant AND a.endpoint = d.endpoint AND a.id = d.id AND a.day = d.day
WHERE d.tenant = $1 AND d.endpoint = $2 AND d.id = $3
ORDER BY a.at;

-- name: backlog
-- The lanes are walked in their order, up to the first that is not among those given.
SELECT (SELECT count(*)::integer FROM (SELECT FROM delivery_queue LIMIT 100000) q) AS waiting,
       (SELECT l.next_at
        FROM delivery_lanes l
        WHERE NOT l.paused AND (l.tenant, l.endpoint) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))
        ORDER BY l.next_at
        LIMIT 1) AS due_since;

-- name: days
SELECT c.relname AS name
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('deliveries'::regclass, 'delivery_attempts'::regclass);

-- name: oldest_waiting
SELECT min(day) AS day FROM delivery_queue;

-- name: forget_deliveries_in_default
DELETE FROM deliveries_default WHERE day < $1;

-- name: forget_delivery_attempts_in_default
DELETE FROM delivery_attempts_default WHERE day < $1;

-- name: forget_lanes
DELETE FROM delivery_lanes l
WHERE l.next_at = 'infinity' AND NOT l.paused AND l.at_once = 1
  AND NOT EXISTS (SELECT FROM delivery_queue q WHERE q.tenant = l.tenant AND q.endpoint = l.endpoint);
