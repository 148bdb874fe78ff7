-- Sources that operators made over HTTP.

-- name: all
SELECT name, fields, sealed, changed_at FROM sources ORDER BY name;

-- name: put
INSERT INTO sources AS s (name, fields, sealed, changed_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE
SET fields = excluded.fields, sealed = excluded.sealed, changed_at = excluded.changed_at
RETURNING xmax = 0 AS is_new;

-- name: delete
DELETE FROM sources WHERE name = $1 RETURNING name;
