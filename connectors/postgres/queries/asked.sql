-- What was asked, for people: it reads every stored call of a tenant since a day.

-- name: most_asked
-- $2 the first day, $3 a template or NULL, $4 how many. A text inside a prompt has its quotes escaped, so that only the
-- call's own fields are found. Of each question the newest request tells where it came from.
WITH called AS (
    SELECT id, claimed_at, convert_from(call, 'UTF8') AS call FROM bodies WHERE tenant = $1 AND day >= $2
), asked AS (
    SELECT id, claimed_at, substring(call FROM '"cache_key":"[^"]*:([0-9a-f]{64})[."]') AS question
    FROM called
    WHERE id NOT LIKE 'warm-%' AND ($3::text IS NULL OR position('"template":{"name":"' || $3 || '",' IN call) > 0)
), counted AS (
    SELECT question, count(*)::integer AS times, (array_agg(id ORDER BY claimed_at DESC))[1] AS id
    FROM asked
    WHERE question IS NOT NULL
    GROUP BY question
    ORDER BY times DESC, question
    LIMIT $4
)
SELECT a.question, a.times, c.source_topic, c.source_partition, c.source_offset
FROM counted a
JOIN LATERAL (
    SELECT c.source_topic, c.source_partition, c.source_offset FROM claims c WHERE c.tenant = $1 AND c.id = a.id OFFSET 0
) c ON true
ORDER BY a.times DESC, a.question;
