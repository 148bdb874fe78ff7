-- Named output schemas. A version is inserted once and never changed.

-- name: find
SELECT w.n::integer AS n, s.tenant, s.name, s.version, s.body, s.digest, s.created_at
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS w (tenant, name, version, n)
CROSS JOIN LATERAL (
    SELECT * FROM output_schemas o
    WHERE o.tenant = w.tenant AND o.name = w.name AND (w.version IS NULL OR o.version = w.version)
    ORDER BY o.version DESC
    LIMIT 1
) AS s;

-- name: add
WITH added AS (
    INSERT INTO output_schemas (tenant, name, version, body, digest, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant, name, version) DO NOTHING
    RETURNING tenant, name, version, created_at
)
INSERT INTO output_schema_names (tenant, name, compatibility, latest, updated_at)
SELECT tenant, name, $7, version, created_at FROM added
ON CONFLICT (tenant, name) DO UPDATE
SET compatibility = excluded.compatibility, latest = excluded.latest, updated_at = excluded.updated_at
RETURNING latest;

-- name: get
SELECT name, compatibility, latest, updated_at FROM output_schema_names WHERE tenant = $1 AND name = $2;

-- name: names
SELECT name, compatibility, latest, updated_at
FROM output_schema_names
WHERE tenant = $1 AND name > $3
ORDER BY name
LIMIT $2;

-- name: versions
SELECT tenant, name, version, body, digest, created_at
FROM output_schemas
WHERE tenant = $1 AND name = $2
ORDER BY version DESC;

-- name: set_compatibility
UPDATE output_schema_names SET compatibility = $3 WHERE tenant = $1 AND name = $2 RETURNING name;
