-- Looks at what is unfinished. Read-only and bounded: nothing of the hot path is indexed or counted for them.

-- name: waits
-- $2: how many rows are counted at most. A look after another's lease is of a request that runs.
SELECT lane, reason, count(*)::integer AS count, min(not_before) FILTER (WHERE gate IS NULL) AS next_due
FROM (SELECT lane, reason, not_before, gate FROM waiting WHERE tenant = $1 LIMIT $2) w
WHERE reason <> 'lease'
GROUP BY lane, reason;

-- name: unfinished
-- Whatever the patrol has looked at and is not over has a lookout; what it has not seen yet is young. Together they are
-- all that is unfinished, without an index over states. $2 bounds each part; `looked` tells whether it was reached, also
-- where nothing was counted.
WITH recent AS MATERIALIZED (
    SELECT tenant, id
    FROM bodies
    WHERE day >= ((SELECT seen FROM patrol) AT TIME ZONE 'utc')::date AND claimed_at > (SELECT seen FROM patrol)
    ORDER BY claimed_at DESC
    LIMIT $2
), older AS MATERIALIZED (
    SELECT id FROM lookouts WHERE tenant = $1 LIMIT $2
), mine AS (
    SELECT id FROM recent WHERE tenant = $1
    UNION
    SELECT id FROM older
), counted AS (
    SELECT c.lane, c.state, count(*)::integer AS count
    FROM mine
    JOIN LATERAL (SELECT c.lane, c.state FROM claims c WHERE c.tenant = $1 AND c.id = mine.id OFFSET 0) c ON true
    WHERE c.state IN ('accepted', 'dispatched')
    GROUP BY c.lane, c.state
)
SELECT counted.lane, counted.state, counted.count, bound.looked
FROM (SELECT greatest((SELECT count(*) FROM recent), (SELECT count(*) FROM older))::integer AS looked) bound
LEFT JOIN counted ON true;

-- name: waiting
SELECT reason, count(*)::integer AS count FROM waiting GROUP BY reason;
