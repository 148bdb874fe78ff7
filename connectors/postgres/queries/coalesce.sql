-- Statements of requests that ask the same (rule L14). Claims are locked before the rows of `questions` and `waiting`.

-- name: follow
-- What the holder of its question means for a request whose take met one; `epoch` is the one it has. Holder and follower
-- are locked in one order, so that the holder's end and this statement follow one another. A question whose holder is
-- over, and whose answer is too old, changes hands: to one request of the batch, the others meet that one next ('again').
-- A batch is small (the caller's bound): its locked claims are found by going through them.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::bytea[]) WITH ORDINALITY
      AS g (tenant, id, run, epoch, question, n)
), met AS MATERIALIZED (
    SELECT g.*, q.id AS holder
    FROM given g
    LEFT JOIN questions q ON q.tenant = g.tenant AND q.question = g.question
), locked AS MATERIALIZED (
    SELECT k.tenant, k.id, c.*
    FROM (SELECT tenant, id FROM met UNION SELECT tenant, holder FROM met WHERE holder IS NOT NULL ORDER BY 1, 2) k
    JOIN LATERAL (
        SELECT c.run, c.epoch, c.state, c.lane, c.claimed_at, c.settled_at, c.attempts
        FROM claims c
        WHERE c.tenant = k.tenant AND c.id = k.id
        FOR NO KEY UPDATE
    ) c ON true
), judged AS (
    SELECT m.*, own.lane,
           CASE
               WHEN own.run IS NULL OR own.run <> m.run OR own.epoch <> m.epoch OR own.attempts > 0
                    OR own.state NOT IN ('accepted', 'dispatched') THEN 'stale'
               WHEN m.holder = m.id OR h.state IS NULL THEN 'mine'
               WHEN h.settled_at IS NULL THEN 'behind'
               WHEN h.state = 'completed' AND own.claimed_at <= h.settled_at + interval '1 second' THEN 'answered'
               ELSE 'mine'
           END AS verdict
    FROM met m
    LEFT JOIN locked own ON own.tenant = m.tenant AND own.id = m.id
    LEFT JOIN locked h ON h.tenant = m.tenant AND h.id = m.holder
), first AS MATERIALIZED (
    SELECT DISTINCT ON (tenant, question) tenant, question, id, holder
    FROM judged
    WHERE verdict = 'mine'
    ORDER BY tenant, question, n
), begun AS (
    INSERT INTO questions (tenant, question, id, asked_at)
    SELECT tenant, question, id, now() FROM first WHERE holder IS NULL ORDER BY tenant, question
    ON CONFLICT (tenant, question) DO NOTHING
    RETURNING tenant, id
), inherited AS (
    UPDATE questions q
    SET id = f.id, asked_at = now()
    FROM first f
    WHERE q.tenant = f.tenant AND q.question = f.question AND q.id = f.holder
    RETURNING q.tenant, q.id
), parked AS (
    UPDATE claims c
    SET state = 'waiting', epoch = j.epoch + 1, worker = NULL, dispatches = 0, updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.verdict = 'behind'
), marked AS (
    UPDATE claims c
    SET followed = true
    FROM (SELECT DISTINCT tenant, holder FROM judged WHERE verdict = 'behind') h
    WHERE c.tenant = h.tenant AND c.id = h.holder AND NOT c.followed
), waits AS (
    INSERT INTO waiting (tenant, id, run, epoch, not_before, reason, lane, behind)
    SELECT tenant, id, run, epoch + 1, now() + interval '15 seconds', 'coalesced', lane, holder
    FROM judged
    WHERE verdict = 'behind'
    ON CONFLICT (tenant, id) DO UPDATE
    SET run = excluded.run, epoch = excluded.epoch, not_before = excluded.not_before, reason = excluded.reason,
        lane = excluded.lane, behind = excluded.behind, gate = NULL
)
SELECT (n - 1)::integer AS n, holder,
       CASE
           WHEN verdict = 'mine'
                AND ((tenant, id) IN (SELECT tenant, id FROM begun UNION ALL SELECT tenant, id FROM inherited)) IS NOT TRUE
               THEN 'again'
           ELSE verdict
       END AS verdict
FROM judged;

-- name: answers
-- The stored results of holders.
SELECT (g.n - 1)::integer AS n, r.result
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id
JOIN results r ON r.tenant = c.tenant AND r.id = c.id AND r.run = c.run AND r.day = c.day;

-- name: lock_holders
-- Those of (tenant, id, run, epoch) that are still to be settled under their epoch.
SELECT (g.n - 1)::integer AS n
FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[]) WITH ORDINALITY AS g (tenant, id, run, epoch, n)
JOIN LATERAL (
    SELECT c.run, c.epoch, c.settled_at
    FROM claims c
    WHERE c.tenant = g.tenant AND c.id = g.id
    FOR NO KEY UPDATE
) c ON c.run = g.run AND c.epoch = g.epoch AND c.settled_at IS NULL;

-- name: followers
-- Of holders that this transaction has locked: whoever waits behind them, at most $3 each. One that somebody else has
-- locked just now is left to wake: waiting for it could deadlock.
SELECT (g.n - 1)::integer AS n, f.tenant, f.id, f.run, f.epoch, f.day
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
CROSS JOIN LATERAL (
    SELECT c.tenant, c.id, c.run, c.epoch, c.day
    FROM waiting w
    JOIN LATERAL (
        SELECT c.tenant, c.id, c.run, c.epoch, c.day, c.state
        FROM claims c
        WHERE c.tenant = w.tenant AND c.id = w.id
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ON c.state = 'waiting' AND c.run = w.run AND c.epoch = w.epoch
    WHERE w.tenant = g.tenant AND w.behind = g.id
    ORDER BY w.not_before, w.id
    LIMIT $3
) f
ORDER BY g.n;

-- name: release
-- Waits that are over: their requests were settled.
DELETE FROM waiting w
USING unnest($1::text[], $2::text[], $3::integer[]) AS g (tenant, id, epoch)
WHERE w.tenant = g.tenant AND w.id = g.id AND w.epoch = g.epoch;

-- name: promote
-- The others that wait behind a holder that failed wait behind one of them, its heir, which is due at once: its take
-- meets a question whose holder is over, and inherits it.
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS g (tenant, holder, heir)
), marked AS (
    UPDATE claims c SET followed = true FROM given g WHERE c.tenant = g.tenant AND c.id = g.heir AND NOT c.followed
)
UPDATE waiting w
SET behind = CASE WHEN w.id <> g.heir THEN g.heir END, not_before = CASE WHEN w.id <> g.heir THEN w.not_before ELSE now() END
FROM given g
WHERE w.tenant = g.tenant AND w.behind = g.holder;

-- name: hurry
-- Whoever still waits behind these is looked at by wake at once.
UPDATE waiting w
SET not_before = now()
FROM unnest($1::text[], $2::text[]) AS g (tenant, holder)
WHERE w.tenant = g.tenant AND w.behind = g.holder;

-- name: forget
-- Questions that are over; a holder that is unfinished keeps its own. Found once and deleted by their place: as a join the
-- planner may find them again for each row. One that changed hands meanwhile is a younger row, and stays.
DELETE FROM questions q
WHERE q.asked_at < now() - interval '30 seconds' AND q.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM questions o
    LEFT JOIN LATERAL (
        SELECT true AS found, c.settled_at FROM claims c WHERE c.tenant = o.tenant AND c.id = o.id OFFSET 0
    ) c ON true
    WHERE o.asked_at < now() - interval '30 seconds' AND (c.found IS NULL OR c.settled_at < now() - interval '5 seconds')
    LIMIT $1
));
