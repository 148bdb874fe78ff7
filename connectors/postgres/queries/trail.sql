-- The audit log. Rows are added, read, and removed when they are old; the table refuses everything else.

-- name: wait
-- For whoever changes the same thing, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: add
INSERT INTO audit_log (tenant, id, at, actor, actor_tenant, key_id, request_id, address, action, object_type, object_id,
                       before, after)
VALUES ($1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: page
SELECT tenant, id, at, actor, actor_tenant, key_id, request_id, address, action, object_type, object_id, before, after
FROM audit_log
WHERE tenant = $1
  AND ($2::text IS NULL OR action = $2)
  AND ($3::text IS NULL OR object_type = $3)
  AND ($4::text IS NULL OR object_id = $4)
  AND ($5::text IS NULL OR key_id = $5)
  AND ($6::timestamptz IS NULL OR at >= $6)
  AND ($7::timestamptz IS NULL OR at < $7)
  AND ($8::timestamptz IS NULL OR (at, id) < ($8, $9::text))
ORDER BY at DESC, id DESC
LIMIT $10;

-- name: page_of_all
-- The operator's, $1 NULL. A statement of its own, so that each has one plan: along its index, newest first.
SELECT tenant, id, at, actor, actor_tenant, key_id, request_id, address, action, object_type, object_id, before, after
FROM audit_log
WHERE $1::text IS NULL
  AND ($2::text IS NULL OR action = $2)
  AND ($3::text IS NULL OR object_type = $3)
  AND ($4::text IS NULL OR object_id = $4)
  AND ($5::text IS NULL OR key_id = $5)
  AND ($6::timestamptz IS NULL OR at >= $6)
  AND ($7::timestamptz IS NULL OR at < $7)
  AND ($8::timestamptz IS NULL OR (at, id) < ($8, $9::text))
ORDER BY at DESC, id DESC
LIMIT $10;

-- name: forget
-- Not younger ones, whatever the setting says: the table would refuse the whole statement.
DELETE FROM audit_log WHERE at < least($1, now() - interval '30 days') RETURNING 1;
