-- Tenants, their plans and their keys.

-- name: tenants
SELECT t.name, t.active, t.requests_per_minute, t.burst, t.store_answers, t.cache_ttl_s, t.tokens_per_minute,
       t.token_burst, t.concurrency, t.plan,
       p.requests_per_minute, p.burst, p.tokens_per_minute, p.token_burst, p.concurrency
FROM tenants t
LEFT JOIN plans p ON p.name = t.plan
ORDER BY t.name;

-- name: tenant
SELECT t.name, t.active, t.requests_per_minute, t.burst, t.store_answers, t.cache_ttl_s, t.tokens_per_minute,
       t.token_burst, t.concurrency, t.plan,
       p.requests_per_minute, p.burst, p.tokens_per_minute, p.token_burst, p.concurrency
FROM tenants t
LEFT JOIN plans p ON p.name = t.plan
WHERE t.name = $1;

-- name: callers
SELECT count(*), (SELECT count(*) FROM api_keys k JOIN tenants t ON t.name = k.tenant AND t.active
                  WHERE k.revoked_at IS NULL), min(name)
FROM tenants
WHERE active;

-- name: create_tenant
INSERT INTO tenants (name, active, requests_per_minute, burst, store_answers, cache_ttl_s, tokens_per_minute,
                     token_burst, concurrency, plan)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: limit_tenant
UPDATE tenants
SET requests_per_minute = $2, burst = $3, tokens_per_minute = $4, token_burst = $5, concurrency = $6, plan = $7
WHERE name = $1
RETURNING name;

-- name: plans
SELECT name, requests_per_minute, burst, tokens_per_minute, token_burst, concurrency FROM plans ORDER BY name;

-- name: put_plan
INSERT INTO plans (name, requests_per_minute, burst, tokens_per_minute, token_burst, concurrency)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE
SET requests_per_minute = excluded.requests_per_minute, burst = excluded.burst,
    tokens_per_minute = excluded.tokens_per_minute, token_burst = excluded.token_burst,
    concurrency = excluded.concurrency;

-- name: delete_plan
DELETE FROM plans WHERE name = $1 AND NOT EXISTS (SELECT FROM tenants WHERE plan = $1) RETURNING name;

-- name: keys
SELECT id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at, tokens_per_minute,
       token_burst, concurrency, scopes
FROM api_keys
WHERE tenant = $1
ORDER BY created_at, id;

-- name: key_by_digest
SELECT id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at, tokens_per_minute,
       token_burst, concurrency, scopes
FROM api_keys
WHERE digest = $1;

-- name: create_key
INSERT INTO api_keys (id, tenant, name, digest, hint, created_at, requests_per_minute, burst, revoked_at,
                      tokens_per_minute, token_burst, concurrency, scopes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tenant, id) DO NOTHING;

-- name: limit_key
UPDATE api_keys
SET requests_per_minute = $3, burst = $4, tokens_per_minute = $5, token_burst = $6, concurrency = $7
WHERE tenant = $1 AND id = $2
RETURNING id;

-- name: revoke_key
UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant = $1 AND id = $2 RETURNING id;
