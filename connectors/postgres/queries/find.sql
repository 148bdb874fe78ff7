-- Everything about one request.

-- name: request
SELECT c.tenant, c.id, c.run, c.epoch, c.state, c.lane, c.source_topic, c.source_partition, c.source_offset,
       c.dispatches, c.claimed_at, c.updated_at, c.submitted_at, c.settled_by, c.emitted_at, c.error_code, c.day,
       CASE WHEN w.gate IS NULL THEN w.not_before END AS not_before, w.reason, k.incarnation, k.expires_at, r.result
FROM claims c
LEFT JOIN waiting w ON c.state = 'waiting' AND w.tenant = c.tenant AND w.id = c.id AND w.epoch = c.epoch
LEFT JOIN workers k ON k.worker = c.worker
LEFT JOIN results r ON r.tenant = c.tenant AND r.id = c.id AND r.run = c.run AND r.day = c.day
WHERE c.tenant = $1 AND c.id = $2;

-- name: tried
SELECT (g.n - 1)::integer AS n, a.attempt, a.epoch, a.provider, a.model, a.outcome, a.cost_usd, a.input_tokens,
       a.output_tokens, a.started_at, a.finished_at, a.record
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (tenant, id, run, n)
JOIN claims c ON c.tenant = g.tenant AND c.id = g.id AND c.run = g.run
JOIN attempts a ON a.tenant = c.tenant AND a.id = c.id AND a.run = c.run AND a.day = c.day
ORDER BY g.n, a.attempt;

-- name: attempts
SELECT attempt, epoch, provider, model, outcome, cost_usd, input_tokens, output_tokens, started_at, finished_at, record
FROM attempts
WHERE tenant = $1 AND id = $2 AND run = $3 AND day = $4
ORDER BY attempt;
