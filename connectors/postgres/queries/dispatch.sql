-- Statements of infer (rules L6-L10). Arrays in, in the order of (tenant, id), and rows are locked in that order.
-- In each: `found` locks and reads the claims, `judged` decides, the rest writes what was decided, in one transaction.

-- name: take
-- $1 this worker; $8 the epoch that the call names, NULL when none: a row under a newer one is left to wake, so that
-- this statement changes nothing when it is done after its caller gave it up; $9 the epoch under which this process
-- already has the request in hand, 0 when it has not: a row that this worker has dispatched under another epoch was
-- taken by a statement whose answer was lost; $10 what is asked, NULL where every request is to be asked for itself: what
-- another one asks already is left as it is ('asked'), and coalesce.sql says what becomes of it (L14); $11 the version of
-- the budgets that the reservations of the batch follow from (L12).
-- A row dispatched within the last second is in live hands whatever the leases say: this snapshot may be older.
WITH given AS (
    SELECT *
    FROM unnest($2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::boolean[], $8::integer[],
                $9::integer[], $10::bytea[])
         WITH ORDINALITY AS g (tenant, id, run, provider, model, calls, call_epoch, known_epoch, question, n)
), found AS (
    SELECT g.*, c.*, w.expires_at,
           coalesce(c.state = 'dispatched' AND c.worker = $1 AND c.epoch <> g.known_epoch, false) AS repeated,
           coalesce(c.state = 'dispatched' AND c.worker <> $1, false) AS elsewhere,
           coalesce(w.expires_at > now(), false) OR c.updated_at > now() - interval '1 second' AS live,
           coalesce(g.call_epoch < c.epoch, false) AS outdated
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch, c.day, c.state, c.lane, c.worker, c.dispatches, c.attempts,
               c.fail_on_unknown, c.cancel_requested, c.updated_at, c.emitted_at
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON true
    LEFT JOIN workers w ON w.worker = c.worker
), met AS (
    SELECT f.*,
           CASE
               WHEN claim_run IS NULL OR claim_run <> run OR state = 'waiting' THEN 'stale'
               WHEN state IN ('completed', 'failed', 'rejected')
                   THEN CASE WHEN emitted_at IS NULL THEN 'unemitted' ELSE 'finished' END
               WHEN NOT EXISTS (SELECT FROM workers me WHERE me.worker = $1 AND me.expires_at > now()) THEN 'unleased'
               WHEN elsewhere AND (live OR outdated) THEN 'held'
               WHEN state = 'accepted' AND outdated THEN 'stale'
               WHEN cancel_requested THEN 'cancelled'
               WHEN dispatches - repeated::integer >= 3
                    OR (fail_on_unknown AND dispatches - repeated::integer > 0) THEN 'exhausted'
               WHEN calls AND $11::bigint <> (SELECT version FROM budget_version WHERE only_row) THEN 'outdated'
               ELSE 'taken'
           END AS found_grip
    FROM found f
), registered AS (
    INSERT INTO questions (tenant, question, id, asked_at)
    SELECT tenant, question, id, now()
    FROM met
    WHERE question IS NOT NULL AND found_grip = 'taken' AND calls AND attempts = 0
    ORDER BY tenant, question
    ON CONFLICT (tenant, question) DO NOTHING
    RETURNING tenant, id
), judged AS (
    SELECT m.*,
           CASE
               WHEN question IS NOT NULL AND found_grip = 'taken' AND calls AND attempts = 0
                    AND ((tenant, id) IN (SELECT tenant, id FROM registered)) IS NOT TRUE THEN 'asked'
               ELSE found_grip
           END AS grip
    FROM met m
), taken AS (
    UPDATE claims c
    SET state = 'dispatched', epoch = j.epoch + 1, worker = $1, dispatches = j.dispatches + 1,
        attempts = j.attempts + (j.grip = 'taken' AND j.calls)::integer, updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.grip IN ('taken', 'exhausted', 'cancelled')
        AND NOT j.repeated
), recorded AS (
    INSERT INTO attempts (tenant, id, run, attempt, day, epoch, provider, model, outcome, started_at)
    SELECT tenant, id, run, attempts + 1, day, epoch + 1, provider, model, 'started', now()
    FROM judged
    WHERE grip = 'taken' AND calls AND NOT repeated
    UNION ALL
    -- two, since a call may have had another beside it
    SELECT tenant, id, run, lost, day, epoch, '', '', 'unknown', now()
    FROM judged
    CROSS JOIN LATERAL generate_series(greatest(attempts - 1, 1), attempts) AS lost
    WHERE grip IN ('taken', 'exhausted', 'cancelled') AND NOT repeated AND dispatches > 0 AND attempts > 0
    ON CONFLICT (tenant, id, run, attempt, day) DO UPDATE
    SET outcome = excluded.outcome
    WHERE attempts.outcome = 'started' AND excluded.outcome = 'unknown'
), parked AS (
    INSERT INTO waiting (tenant, id, run, epoch, not_before, reason, lane)
    SELECT tenant, id, run, epoch,
           CASE WHEN live THEN greatest(expires_at, now() + interval '1 second') ELSE now() END, 'lease', lane
    FROM judged
    WHERE grip = 'held'
    ON CONFLICT (tenant, id) DO NOTHING
)
SELECT (n - 1)::integer AS n, grip, epoch + (NOT repeated AND grip <> 'asked')::integer AS epoch,
       attempts + (calls AND grip = 'taken' AND NOT repeated)::integer AS attempt,
       coalesce(calls AND grip = 'taken' AND least(dispatches, attempts) > repeated::integer, false) AS repeats, repeated
FROM judged;

-- name: go_on
-- An outcome of 'started' completes nothing: the attempt runs on beside the next one.
-- `elsewhere`: the attempt belongs to another run than the claim; `complete` finds its row.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::text[],
                $7::integer[], $8::text[], $9::numeric[], $10::integer[], $11::integer[], $12::bytea[])
         WITH ORDINALITY
      AS g (tenant, id, run, epoch, provider, model, attempt, outcome, cost_usd, input_tokens, output_tokens, record, n)
), found AS (
    SELECT g.*, c.*
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.day, c.state, c.attempts
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON true
), judged AS (
    SELECT f.*,
           coalesce(claim_run = run, false) AS here,
           coalesce(claim_run = run AND claim_epoch = epoch AND state = 'dispatched', false) AS mine
    FROM found f
), counted AS (
    UPDATE claims c
    SET attempts = j.attempt + 1, updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.mine AND j.attempts = j.attempt
), recorded AS (
    INSERT INTO attempts (tenant, id, run, attempt, day, epoch, provider, model, outcome, cost_usd, input_tokens,
                          output_tokens, started_at, finished_at, record)
    SELECT tenant, id, run, attempt, day, epoch, '', '', outcome, cost_usd, input_tokens,
           output_tokens, now(), now(), record
    FROM judged
    WHERE here AND attempt <= attempts
    UNION ALL
    SELECT tenant, id, run, attempt + 1, day, epoch, provider, model, 'started', NULL, NULL,
           NULL, now(), NULL, NULL
    FROM judged
    WHERE mine AND attempts = attempt
    ON CONFLICT (tenant, id, run, attempt, day) DO UPDATE
    SET outcome = excluded.outcome, cost_usd = excluded.cost_usd, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, finished_at = excluded.finished_at, record = excluded.record
    WHERE attempts.outcome IN ('started', 'unknown') AND excluded.outcome <> 'started'
)
SELECT (n - 1)::integer AS n, CASE WHEN mine AND attempts IN (attempt, attempt + 1) THEN attempt + 1 ELSE 0 END AS attempt,
       NOT here AS elsewhere
FROM judged;

-- name: park
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::timestamptz[], $6::text[], $7::text[],
                $8::text[], $9::integer[], $10::text[], $11::numeric[], $12::integer[], $13::integer[], $14::bytea[])
         WITH ORDINALITY
      AS g (tenant, id, run, epoch, not_before, reason, lane, gate,
            attempt, outcome, cost_usd, input_tokens, output_tokens, record, n)
), found AS (
    SELECT g.*, c.*
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.day, c.state, c.attempts, c.deadline
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON true
), judged AS (
    SELECT f.*,
           coalesce(claim_run = run, false) AS here,
           coalesce(claim_run = run AND claim_epoch = epoch AND state IN ('accepted', 'dispatched'), false) AS mine,
           coalesce(claim_run = run AND claim_epoch = epoch + 1 AND state = 'waiting', false) AS repeated
    FROM found f
), parked AS (
    UPDATE claims c
    SET state = 'waiting', epoch = j.epoch + 1, worker = NULL, updated_at = now(),
        dispatches = CASE WHEN j.state = 'dispatched' THEN 0 ELSE c.dispatches END,  -- intake heard of no call (L9)
        waited_for_budget = c.waited_for_budget OR j.reason = 'budget'
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.mine
), waits AS (
    INSERT INTO waiting (tenant, id, run, epoch, not_before, reason, lane, gate, deadline)
    SELECT tenant, id, run, epoch + 1, not_before, reason, lane, gate, deadline FROM judged WHERE mine
    ON CONFLICT (tenant, id) DO UPDATE
    SET run = excluded.run, epoch = excluded.epoch, not_before = excluded.not_before, reason = excluded.reason,
        lane = excluded.lane, gate = excluded.gate, deadline = excluded.deadline
), recorded AS (
    INSERT INTO attempts (tenant, id, run, attempt, day, epoch, outcome, cost_usd, input_tokens,
                          output_tokens, started_at, finished_at, record)
    SELECT tenant, id, run, attempt, day, epoch, outcome, cost_usd, input_tokens,
           output_tokens, now(), now(), record
    FROM judged
    WHERE here AND attempt <= attempts
    ON CONFLICT (tenant, id, run, attempt, day) DO UPDATE
    SET outcome = excluded.outcome, cost_usd = excluded.cost_usd, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, finished_at = excluded.finished_at, record = excluded.record
    WHERE attempts.outcome IN ('started', 'unknown')
)
SELECT (n - 1)::integer AS n, mine OR repeated AS parked, NOT here AND attempt IS NOT NULL AS elsewhere FROM judged;

-- name: complete
-- An attempt that ran beside another one, or of a run that the claim has left behind: its day is not the claim's any more.
UPDATE attempts a
SET outcome = g.outcome, cost_usd = g.cost_usd, input_tokens = g.input_tokens, output_tokens = g.output_tokens,
    finished_at = now(), record = g.record
FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::numeric[], $7::integer[],
            $8::integer[], $9::bytea[])
  AS g (tenant, id, run, attempt, outcome, cost_usd, input_tokens, output_tokens, record)
WHERE a.tenant = g.tenant AND a.id = g.id AND a.run = g.run AND a.attempt = g.attempt
  AND a.outcome IN ('started', 'unknown');
