-- What was read of the objects of sources. One member reads a source at a time.

-- name: hold
INSERT INTO source_readers AS r (source, member, until)
VALUES ($1, $2, $4)
ON CONFLICT (source) DO UPDATE SET member = excluded.member, until = excluded.until
WHERE r.member = excluded.member OR r.until <= $3
RETURNING source;

-- name: known
SELECT key, version, rows, done FROM source_objects WHERE source = $1 AND key = ANY($2::text[]);

-- name: before_last
SELECT key FROM source_objects WHERE source = $1 ORDER BY key DESC OFFSET $2 LIMIT 1;

-- name: note
INSERT INTO source_objects (source, key, version, rows, done, modified_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (source, key) DO UPDATE
SET version = excluded.version, rows = excluded.rows, done = excluded.done, modified_at = excluded.modified_at;

-- name: forget
DELETE FROM source_objects WHERE source = $1 AND modified_at >= $2;
