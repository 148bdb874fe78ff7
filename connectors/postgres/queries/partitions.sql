-- Making and dropping day partitions. Names are our own: <table>_<yyyymmdd>.

-- name: partitions
SELECT c.relname AS name
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('bodies'::regclass, 'results'::regclass, 'attempts'::regclass, 'deliveries'::regclass,
                      'delivery_attempts'::regclass);

-- name: oldest_claim
SELECT min(day) AS day FROM claims;

-- name: forget_claims
DELETE FROM claims WHERE day < $1 AND emitted_at IS NOT NULL;

-- name: forget_waiting
DELETE FROM waiting w WHERE NOT EXISTS (SELECT FROM claims c WHERE c.tenant = w.tenant AND c.id = w.id);

-- name: forget_lookouts
DELETE FROM lookouts l WHERE NOT EXISTS (SELECT FROM claims c WHERE c.tenant = l.tenant AND c.id = l.id);

-- name: forget_cancels
-- Of requests that were never claimed; others are removed when they are over.
DELETE FROM cancels x
WHERE x.asked_at < $1::date AT TIME ZONE 'utc'
  AND NOT EXISTS (SELECT FROM claims c WHERE c.tenant = x.tenant AND c.id = x.id);

-- name: forget_workers
DELETE FROM workers k
WHERE k.expires_at < now() - interval '1 day'
  AND (k.worker IN (SELECT c.worker FROM claims c WHERE c.worker IS NOT NULL)) IS NOT TRUE;

-- name: forget_jobs
DELETE FROM jobs WHERE created_at < $1::date AT TIME ZONE 'utc';

-- name: forget_letters
DELETE FROM dead_letters WHERE last_seen < $1::date AT TIME ZONE 'utc';

-- name: forget_budget_accounts
-- Of periods that nobody looks at any more, with what attempts of unknown cost held in them.
WITH gone AS (
    DELETE FROM budget_accounts WHERE created_at < $1::date AT TIME ZONE 'utc' - interval '1 year'
    RETURNING tenant, serial, label
), noticed AS (
    DELETE FROM budget_notices x USING gone g WHERE x.tenant = g.tenant AND x.serial = g.serial AND x.label = g.label
)
DELETE FROM budget_holds WHERE created_at < $1::date AT TIME ZONE 'utc' - interval '1 year';

-- name: forget_bodies_in_default
DELETE FROM bodies_default WHERE day < $1;

-- name: forget_results_in_default
DELETE FROM results_default WHERE day < $1;

-- name: forget_attempts_in_default
DELETE FROM attempts_default WHERE day < $1;
