-- The ledger's side of the audit: a page costs the same however many attempts there are.

-- name: page
SELECT a.tenant, a.id, a.run, a.attempt, coalesce(a.cost_usd, 0) AS cost_usd,
       coalesce(a.booked AND c.emitted_at < $6, false) AS due
FROM (
    SELECT tenant, id, run, attempt, cost_usd, record IS NOT NULL AS booked
    FROM attempts
    WHERE (tenant, id, run, attempt) > ($1::text, $2::text, $3::integer, $4::integer) AND day >= $5
    ORDER BY tenant, id, run, attempt
    LIMIT $7
) a
LEFT JOIN claims c ON c.tenant = a.tenant AND c.id = a.id AND c.run = a.run
ORDER BY a.tenant, a.id, a.run, a.attempt;
