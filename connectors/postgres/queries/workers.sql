-- Leases (rule L6): one row a worker incarnation, by this server's clock.

-- name: register
INSERT INTO workers (incarnation, stage, renewed_at, expires_at)
VALUES ($1, $2, now(), now() + interval '10 seconds')
ON CONFLICT (incarnation) DO UPDATE SET renewed_at = now(), expires_at = excluded.expires_at
RETURNING worker;

-- name: renew
INSERT INTO workers (worker, incarnation, stage, renewed_at, expires_at)
VALUES ($1, $2, $3, now(), now() + interval '10 seconds')
ON CONFLICT (worker) DO UPDATE SET renewed_at = now(), expires_at = excluded.expires_at;

-- name: release
UPDATE workers SET expires_at = now() WHERE worker = $1;
