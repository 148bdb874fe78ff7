-- Making and dropping day partitions. Names are our own: <table>_<yyyymmdd>.

-- name: partitions
SELECT c.relname AS name
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('bodies'::regclass, 'results'::regclass, 'attempts'::regclass);

-- name: oldest_claim
SELECT min(day) AS day FROM claims;

-- name: forget_claims
DELETE FROM claims WHERE day < $1 AND emitted_at IS NOT NULL;

-- name: forget_waiting
DELETE FROM waiting w WHERE NOT EXISTS (SELECT FROM claims c WHERE c.tenant = w.tenant AND c.id = w.id);

-- name: forget_lookouts
DELETE FROM lookouts l WHERE NOT EXISTS (SELECT FROM claims c WHERE c.tenant = l.tenant AND c.id = l.id);

-- name: forget_workers
DELETE FROM workers k
WHERE k.expires_at < now() - interval '1 day' AND NOT EXISTS (SELECT FROM claims c WHERE c.worker = k.worker);

-- name: forget_jobs
DELETE FROM jobs WHERE created_at < $1::date AT TIME ZONE 'utc';

-- name: forget_bodies_in_default
DELETE FROM bodies_default WHERE day < $1;

-- name: forget_results_in_default
DELETE FROM results_default WHERE day < $1;

-- name: forget_attempts_in_default
DELETE FROM attempts_default WHERE day < $1;
