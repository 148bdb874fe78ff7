-- Tenants and keys.

-- name: tenants
SELECT name, active, requests_per_minute, burst, store_answers, cache_ttl_s FROM tenants ORDER BY name;

-- name: tenant
SELECT name, active, requests_per_minute, burst, store_answers, cache_ttl_s FROM tenants WHERE name = $1;

-- name: create_tenant
INSERT INTO tenants (name, active, requests_per_minute, burst, store_answers, cache_ttl_s)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: keys
SELECT id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at
FROM api_keys
WHERE tenant = $1
ORDER BY created_at, id;

-- name: key_by_digest
SELECT id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at
FROM api_keys
WHERE digest = $1;

-- name: create_key
INSERT INTO api_keys (id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant, id) DO NOTHING;

-- name: revoke_key
UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant = $1 AND id = $2 RETURNING id;
