-- Statements of the end of a request (rules L11, L15). Arrays in, in the order of (tenant, id).

-- name: settle
-- Whom others wait behind is not settled unless $15 says that they are settled with it, in one transaction (L14).
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::integer[], $10::text[], $11::numeric[], $12::integer[], $13::integer[], $14::bytea[])
         WITH ORDINALITY
      AS g (tenant, id, run, epoch, state, result, settled_by, error_code,
            attempt, outcome, cost_usd, input_tokens, output_tokens, record, n)
), found AS (
    SELECT g.*, c.*
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.run AS claim_run, c.epoch AS claim_epoch, c.day, c.settled_at, c.attempts, c.followed
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON true
), judged AS (
    SELECT f.*,
           coalesce(claim_run = run, false) AS here,
           coalesce(claim_run = run AND claim_epoch = epoch AND settled_at IS NULL AND (NOT followed OR $15), false) AS won
    FROM found f
), settled AS (
    UPDATE claims c
    SET state = j.state, worker = NULL, settled_by = j.settled_by, error_code = j.error_code,
        settled_at = now(), updated_at = now()
    FROM judged j
    WHERE c.tenant = j.tenant AND c.id = j.id AND j.won
), stored AS (
    INSERT INTO results (tenant, id, run, day, state, error_code, settled_at, result)
    SELECT tenant, id, run, day, state, error_code, now(), result FROM judged WHERE won
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
SELECT (n - 1)::integer AS n, won, attempts, NOT here AND attempt IS NOT NULL AS elsewhere,
       coalesce(here AND NOT won AND claim_epoch = epoch AND settled_at IS NULL, false) AS followed
FROM judged;

-- name: outcome
-- The stored result and the records of all attempts, in their order, of runs that are final.
SELECT (g.n - 1)::integer AS n, r.result,
       ARRAY(
           SELECT a.record
           FROM attempts a
           WHERE a.tenant = c.tenant AND a.id = c.id AND a.run = c.run AND a.day = c.day AND a.record IS NOT NULL
           ORDER BY a.attempt
       ) AS usage
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (tenant, id, run, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id AND c.run = g.run
JOIN results r ON r.tenant = c.tenant AND r.id = c.id AND r.run = c.run AND r.day = c.day;

-- name: emitted
WITH found AS MATERIALIZED (
    SELECT g.tenant, g.id
    FROM unnest($1::text[], $2::text[], $3::integer[]) AS g (tenant, id, run)
    JOIN LATERAL (
        SELECT c.run, c.settled_at, c.emitted_at
        FROM claims c
        WHERE c.tenant = g.tenant AND c.id = g.id
        FOR NO KEY UPDATE
    ) c ON c.run = g.run AND c.settled_at IS NOT NULL AND c.emitted_at IS NULL
)
UPDATE claims c SET emitted_at = now() FROM found f WHERE c.tenant = f.tenant AND c.id = f.id;
