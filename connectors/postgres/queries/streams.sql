-- Streams of destinations that count their rows, one a partition.

-- name: read
SELECT s.topic, s.partition, s.stream, s.born, s.next_offset, s.rows, s.refused::text AS refused
FROM sink_streams s
WHERE s.target = $1
  AND (s.topic, s.partition) IN (SELECT * FROM unnest($2::text[], $3::integer[]));

-- name: keep
-- Only where the stream is still the one that its process knows.
WITH given AS (
    SELECT *
    FROM unnest($2::text[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
        AS g (topic, partition, stream, born, next_offset, rows, refused, before)
)
INSERT INTO sink_streams AS s (target, topic, partition, stream, born, next_offset, rows, refused, updated_at)
SELECT $1, g.topic, g.partition, g.stream, g.born, g.next_offset, g.rows, g.refused::jsonb, now()
FROM given g
ORDER BY g.topic, g.partition
ON CONFLICT (target, topic, partition) DO UPDATE
SET stream = excluded.stream, born = excluded.born, next_offset = excluded.next_offset, rows = excluded.rows,
    refused = excluded.refused, updated_at = excluded.updated_at
WHERE s.stream = (SELECT g.before FROM given g WHERE g.topic = s.topic AND g.partition = s.partition)
RETURNING s.topic, s.partition;
