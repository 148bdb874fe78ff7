-- The API's rows (rule D1).

-- name: submit
-- Rows that are new get their job and their outbox row; the answer is those that are not.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::timestamptz[], $6::text[], $7::text[],
                $8::text[], $9::text[]) WITH ORDINALITY
      AS g (tenant, id, body_hash, record, submitted_at, api_key_id, idempotency_key, traceparent, reply_to, n)
), fresh AS (
    INSERT INTO jobs (tenant, id, body_hash, submitted_at, created_at, api_key_id, idempotency_key)
    SELECT tenant, id, body_hash, submitted_at, now(), api_key_id, idempotency_key FROM given
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
), outgoing AS (
    INSERT INTO outbox (tenant, id, created_at, record, traceparent, reply_to)
    SELECT tenant, id, now(), record, traceparent, reply_to
    FROM given
    WHERE ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS TRUE
    ON CONFLICT (tenant, id) DO NOTHING
)
SELECT (n - 1)::integer AS n FROM given WHERE ((tenant, id) IN (SELECT tenant, id FROM fresh)) IS NOT TRUE;

-- name: submitted
-- `body_hash` is NULL where no such id exists: its idempotency key is taken by another.
SELECT (g.n - 1)::integer AS n, j.body_hash
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
LEFT JOIN jobs j ON j.tenant = g.tenant AND j.id = g.id;

-- name: produced
DELETE FROM outbox o USING unnest($1::text[], $2::text[]) AS g (tenant, id) WHERE o.tenant = g.tenant AND o.id = g.id;

-- name: unproduced
SELECT o.tenant, o.id, j.body_hash, o.record, j.submitted_at, j.api_key_id, j.idempotency_key, o.traceparent, o.reply_to
FROM outbox o
JOIN jobs j ON j.tenant = o.tenant AND j.id = o.id
WHERE o.created_at <= now() - $1::interval
ORDER BY o.created_at
LIMIT $2;

-- name: view
-- $3: with the stored results, and with `repeated` as domain.ledger.model counts it.
SELECT g.id, j.submitted_at, c.claimed_at, c.run, c.state, c.updated_at, c.error_code, w.reason, r.result,
       CASE WHEN w.gate IS NULL THEN w.not_before END AS not_before,
       CASE WHEN $3 AND c.attempts > 1 THEN (
           SELECT count(*)
           FROM (
               SELECT a.outcome, a.epoch, lead(a.epoch) OVER (ORDER BY a.attempt) AS later
               FROM attempts a
               WHERE a.tenant = c.tenant AND a.id = c.id AND a.run = c.run AND a.day = c.day
           ) a
           WHERE a.later <> a.epoch AND a.outcome NOT IN ('started', 'rate_limited', 'timeout', 'error')
       ) ELSE 0 END AS repeated,
       CASE WHEN c.id IS NULL THEN extract(epoch FROM now() - o.created_at)::double precision END AS unproduced_s
FROM unnest($2::text[]) AS g (id)
LEFT JOIN jobs j ON j.tenant = $1 AND j.id = g.id
LEFT JOIN claims c ON c.tenant = $1 AND c.id = g.id
LEFT JOIN outbox o ON o.tenant = $1 AND o.id = g.id
LEFT JOIN waiting w ON c.state = 'waiting' AND w.tenant = $1 AND w.id = g.id AND w.epoch = c.epoch
LEFT JOIN results r ON $3 AND c.settled_at IS NOT NULL
    AND r.tenant = $1 AND r.id = g.id AND r.run = c.run AND r.day = c.day
WHERE j.id IS NOT NULL OR c.id IS NOT NULL;

-- name: kept_results
-- Results outlive claims (the dedupe horizon is shorter): the last run of requests whose claim was swept.
SELECT g.id, r.run, r.state, r.error_code, r.settled_at, CASE WHEN $3 THEN r.result END AS result
FROM unnest($2::text[]) AS g (id)
JOIN LATERAL (
    SELECT * FROM results r WHERE r.tenant = $1 AND r.id = g.id ORDER BY r.day DESC, r.run DESC LIMIT 1
) r ON true;

-- name: newest
SELECT id
FROM jobs
WHERE tenant = $1 AND ($3::timestamptz IS NULL OR (submitted_at, id) < ($3, $4::text))
ORDER BY submitted_at DESC, id DESC
LIMIT $2;
