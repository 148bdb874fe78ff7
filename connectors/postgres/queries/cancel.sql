-- Statements of cancelling (rule L11). Claims are locked before the rows of `cancels`.

-- name: cancel
-- Who holds the request sees it in `cancels` within half a second; everybody else at the claim, the take or the look.
-- `updated_at` stays: asking is not working on it.
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (tenant, id, n)
), found AS (
    SELECT g.*, c.*
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.run, c.state, c.worker, c.settled_at
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON true
), judged AS (
    SELECT f.*,
           CASE
               WHEN settled_at IS NOT NULL THEN 'final'
               WHEN run IS NOT NULL OR j.known THEN 'asked'
               ELSE 'unknown'
           END AS met
    FROM found f
    LEFT JOIN LATERAL (
        SELECT true AS known FROM jobs j WHERE j.tenant = f.tenant AND j.id = f.id LIMIT 1
    ) j ON true
), flagged AS (
    UPDATE claims c
    SET cancel_requested = true
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.met = 'asked' AND NOT c.cancel_requested
), noted AS (
    INSERT INTO cancels (tenant, id, run, worker, asked_at, look_at)
    SELECT tenant, id, coalesce(run, 1), CASE WHEN state = 'dispatched' THEN worker END, now(), now()
    FROM judged
    WHERE met = 'asked'
    ON CONFLICT (tenant, id) DO UPDATE
    SET run = excluded.run, worker = excluded.worker, look_at = excluded.look_at
)
SELECT (n - 1)::integer AS n, met FROM judged;

-- name: cancelled
-- Also flags what was claimed at the very moment of the wish, so that its claim did not meet it. What is not claimed is
-- looked for less and less often: its claim meets the wish. What is over is removed.
WITH due AS MATERIALIZED (
    SELECT tenant, id, run, asked_at
    FROM cancels
    WHERE look_at <= now()
    ORDER BY look_at
    LIMIT $1
), found AS (
    SELECT d.*, c.*, coalesce(w.expires_at > now(), false) AS leased
    FROM (SELECT * FROM due ORDER BY tenant, id) d
    LEFT JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch, c.state, c.lane, c.worker, c.day, c.updated_at, c.settled_at
        FROM claims c
        WHERE c.tenant = d.tenant AND c.id = d.id
        FOR NO KEY UPDATE
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
), judged AS (
    SELECT f.*,
           CASE
               WHEN claim_run IS NULL THEN 'unclaimed'
               WHEN claim_run <> run OR settled_at IS NOT NULL THEN 'over'
               WHEN state = 'dispatched' AND (leased OR updated_at > now() - interval '1 second') THEN 'held'
               ELSE 'due'
           END AS verdict
    FROM found f
), flagged AS (
    UPDATE claims c
    SET cancel_requested = true
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.verdict IN ('held', 'due') AND NOT c.cancel_requested
), removed AS (
    DELETE FROM cancels x USING judged j WHERE x.tenant = j.tenant AND x.id = j.id AND j.verdict = 'over'
), postponed AS (
    UPDATE cancels x
    SET worker = CASE WHEN j.verdict = 'held' THEN j.worker END,
        look_at = now() + CASE
            WHEN j.verdict = 'unclaimed' THEN greatest(interval '0.5 seconds', (now() - j.asked_at) / 4)
            ELSE interval '1 second'
        END
    FROM judged j
    WHERE x.tenant = j.tenant AND x.id = j.id AND j.verdict <> 'over'
)
SELECT tenant, id, claim_run AS run, epoch, lane, day FROM judged WHERE verdict = 'due';

-- name: abandoned
SELECT tenant, id, run FROM cancels WHERE worker = $1;
