-- Orders to the operator's sinks, and the reports of their processes. A row a sink and a row a process: there are few.

-- name: tell
WITH known AS (
    INSERT INTO sinks (sink) VALUES ($1) ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO sink_members AS m (sink, member, state, lag, rows, refused, errors, oldest_at, detail, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())
    ON CONFLICT (sink, member) DO UPDATE
    SET state = excluded.state, lag = excluded.lag, rows = excluded.rows, refused = excluded.refused,
        errors = excluded.errors, oldest_at = excluded.oldest_at, detail = excluded.detail, seen_at = excluded.seen_at
), forgotten AS (
    DELETE FROM sink_members WHERE sink = $1 AND member <> $2 AND seen_at < now() - interval '1 day'
)
SELECT paused_at, replay, replay_since, replay_places, replay_offsets, replayed FROM sinks WHERE sink = $1;

-- name: rewound
UPDATE sinks
SET replayed = ARRAY(SELECT DISTINCT place FROM unnest(replayed || $3::text[]) AS given (place) ORDER BY place)
WHERE sink = $1 AND replay = $2;

-- name: pause
UPDATE sinks
SET paused_at = CASE WHEN $2::boolean THEN coalesce(paused_at, now()) END
WHERE sink = $1
RETURNING sink;

-- name: replay
UPDATE sinks
SET replay = replay + 1, replay_since = $2, replay_places = $3::text[], replay_offsets = $4::bigint[],
    replayed = '{}'
WHERE sink = $1
RETURNING replay;

-- name: look
SELECT s.sink, s.paused_at, s.replay, s.replay_since, s.replay_places, s.replay_offsets, s.replayed,
       m.member, m.state, m.lag, m.rows, m.refused, m.errors, m.oldest_at, m.detail, m.seen_at
FROM sinks s LEFT JOIN sink_members m USING (sink)
ORDER BY s.sink, m.member;
