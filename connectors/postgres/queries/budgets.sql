-- Budgets (rule L12). Accounts are locked last, in the order of (tenant, serial, label); whoever locks them holds the
-- claims of its attempts already, and the roll-up holds nothing else that anybody waits for.

-- name: accounts
-- For each attempt and budget: the account to be charged, locked, with its limit of now; `spent_usd` is NULL where the
-- account is not there yet, `reserved` where this attempt has reserved before.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::bigint[]) WITH ORDINALITY
      AS g (tenant, id, run, attempt, serial, n)
), charged AS MATERIALIZED (
    SELECT g.n, g.tenant, g.serial, b.name, b.period, b.limit_usd,
           to_char(CASE WHEN c.waited_for_budget THEN now() ELSE c.claimed_at END AT TIME ZONE 'utc',
                   CASE b.period WHEN 'hour' THEN 'YYYY-MM-DD"T"HH24' WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END
           ) COLLATE "C" AS label,
           EXISTS (
               SELECT FROM budget_holds h
               WHERE h.tenant = g.tenant AND h.id = g.id AND h.run = g.run AND h.attempt = g.attempt
           ) AS reserved
    FROM given g
    JOIN budgets b ON b.tenant = g.tenant AND b.serial = g.serial
    JOIN LATERAL (
        SELECT c.waited_for_budget, c.claimed_at FROM claims c WHERE c.tenant = g.tenant AND c.id = g.id OFFSET 0
    ) c ON true
), locked AS MATERIALIZED (
    SELECT w.tenant, w.serial, w.label, a.spent_usd, a.held_usd
    FROM (SELECT DISTINCT tenant, serial, label FROM charged ORDER BY tenant, serial, label) w
    LEFT JOIN LATERAL (
        SELECT a.spent_usd, a.held_usd
        FROM budget_accounts a
        WHERE a.tenant = w.tenant AND a.serial = w.serial AND a.label = w.label
        FOR NO KEY UPDATE
    ) a ON true
)
SELECT (c.n - 1)::integer AS n, c.tenant, c.serial, c.label, c.name, c.period, c.limit_usd, c.reserved,
       l.spent_usd, l.held_usd
FROM charged c
JOIN locked l ON l.tenant = c.tenant AND l.serial = c.serial AND l.label = c.label
ORDER BY c.n;

-- name: open_accounts
INSERT INTO budget_accounts (tenant, serial, label, spent_usd, held_usd)
SELECT tenant, serial, label, 0, 0
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS g (tenant, serial, label)
ON CONFLICT (tenant, serial, label) DO NOTHING;

-- name: hold
WITH given AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::bigint[], $6::text[], $7::numeric[])
      AS g (tenant, id, run, attempt, serial, label, amount_usd)
), held AS (
    INSERT INTO budget_holds (tenant, id, run, attempt, serial, label, amount_usd) SELECT * FROM given
)
UPDATE budget_accounts a
SET held_usd = a.held_usd + s.amount_usd
FROM (SELECT tenant, serial, label, sum(amount_usd) AS amount_usd FROM given GROUP BY tenant, serial, label) s
WHERE a.tenant = s.tenant AND a.serial = s.serial AND a.label = s.label;

-- name: entries
-- What attempts cost, from which money was reserved. A repetition after the roll-up finds no hold and books nothing.
INSERT INTO budget_entries (tenant, id, run, attempt, cost_usd)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::numeric[])
ON CONFLICT (tenant, id, run, attempt) DO NOTHING;

-- name: keep_usage
-- Of calls that are no attempts: their attempt's row cannot keep it, for there is none.
INSERT INTO beside_usage (tenant, id, run, number, record, traceparent, look_at)
SELECT tenant, id, run, number, record, traceparent, now() + interval '30 seconds'
FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::bytea[], $6::text[])
  AS g (tenant, id, run, number, record, traceparent)
ON CONFLICT (tenant, id, run, number) DO NOTHING;

-- name: unproduced
UPDATE beside_usage x
SET look_at = now() + interval '30 seconds'
FROM (
    SELECT tenant, id, run, number
    FROM beside_usage
    WHERE look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) d
WHERE x.tenant = d.tenant AND x.id = d.id AND x.run = d.run AND x.number = d.number
RETURNING x.tenant, x.id, x.run, x.number, x.record, x.traceparent;

-- name: produced
DELETE FROM beside_usage x
USING unnest($1::text[], $2::text[], $3::integer[], $4::integer[]) AS g (tenant, id, run, number)
WHERE x.tenant = g.tenant AND x.id = g.id AND x.run = g.run AND x.number = g.number;

-- name: version
SELECT version FROM budget_version WHERE only_row;

-- name: fold
WITH due AS MATERIALIZED (
    SELECT tenant, id, run, attempt
    FROM budget_entries
    ORDER BY tenant, id, run, attempt
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), ended AS (
    DELETE FROM budget_entries e
    USING due d
    WHERE e.tenant = d.tenant AND e.id = d.id AND e.run = d.run AND e.attempt = d.attempt
    RETURNING e.*
), freed AS (
    DELETE FROM budget_holds h
    USING ended e
    WHERE h.tenant = e.tenant AND h.id = e.id AND h.run = e.run AND h.attempt = e.attempt
    RETURNING h.tenant, h.serial, h.label COLLATE "C" AS label, h.amount_usd, e.cost_usd
), sums AS MATERIALIZED (
    SELECT tenant, serial, label, sum(amount_usd) AS amount_usd, sum(cost_usd) AS cost_usd
    FROM freed
    GROUP BY tenant, serial, label
), locked AS MATERIALIZED (
    SELECT s.*
    FROM (SELECT * FROM sums ORDER BY tenant, serial, label) s
    JOIN LATERAL (
        SELECT FROM budget_accounts a
        WHERE a.tenant = s.tenant AND a.serial = s.serial AND a.label = s.label
        FOR NO KEY UPDATE
    ) a ON true
), booked AS (
    UPDATE budget_accounts a
    SET spent_usd = a.spent_usd + l.cost_usd, held_usd = a.held_usd - l.amount_usd
    FROM locked l
    WHERE a.tenant = l.tenant AND a.serial = l.serial AND a.label = l.label
    RETURNING a.tenant, a.serial, a.label, a.spent_usd, a.held_usd
), noticed AS (
    INSERT INTO budget_notices (tenant, serial, label, mark, budget, period, limit_usd, spent_usd, held_usd, at, look_at)
    SELECT a.tenant, a.serial, a.label, m.mark, b.name, b.period, b.limit_usd, a.spent_usd, a.held_usd, now(), now()
    FROM booked a
    JOIN budgets b ON b.tenant = a.tenant AND b.serial = a.serial
    JOIN (VALUES (50), (80), (100)) AS m (mark) ON a.spent_usd * 100 >= b.limit_usd * m.mark
    ON CONFLICT (tenant, serial, label, mark) DO NOTHING
)
SELECT count(*)::integer AS booked FROM ended;

-- name: exceeded
-- Of refusals: the first one of a period is told. Where nobody was charged in it yet there is no account: the one that
-- the refusal was judged by was undone with its transaction.
INSERT INTO budget_notices (tenant, serial, label, mark, budget, period, limit_usd, spent_usd, held_usd, at, look_at)
SELECT g.tenant, g.serial, g.label, 100, b.name, b.period, b.limit_usd, coalesce(a.spent_usd, 0),
       coalesce(a.held_usd, 0), now(), now()
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS g (tenant, serial, label)
JOIN budgets b ON b.tenant = g.tenant AND b.serial = g.serial
LEFT JOIN budget_accounts a ON a.tenant = g.tenant AND a.serial = g.serial AND a.label = g.label
ON CONFLICT (tenant, serial, label, mark) DO NOTHING;

-- name: notices
UPDATE budget_notices x
SET look_at = now() + interval '30 seconds'
FROM (
    SELECT tenant, serial, label, mark
    FROM budget_notices
    WHERE told_at IS NULL AND look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) d
WHERE x.tenant = d.tenant AND x.serial = d.serial AND x.label = d.label AND x.mark = d.mark
RETURNING x.tenant, x.serial, x.label, x.mark, x.budget, x.period, x.limit_usd, x.spent_usd, x.held_usd, x.at;

-- name: told
UPDATE budget_notices x
SET told_at = now()
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::integer[]) AS g (tenant, serial, label, mark)
WHERE x.tenant = g.tenant AND x.serial = g.serial AND x.label = g.label AND x.mark = g.mark;

-- name: rules
SELECT v.version, b.tenant, b.name, b.limit_usd, b.period, b.api_key_id, b.template, b.model, b.serial
FROM budget_version v
LEFT JOIN budgets b ON true
WHERE v.only_row
ORDER BY b.tenant, b.name;

-- name: put
WITH changed AS (
    UPDATE budget_version SET version = version + 1 WHERE only_row
), woken AS (
    UPDATE waiting w SET not_before = now()
    FROM (
        SELECT tenant, id FROM waiting
        WHERE tenant = $1 AND reason = 'budget' AND not_before > now()
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE w.tenant = d.tenant AND w.id = d.id
)
INSERT INTO budgets AS b (tenant, name, limit_usd, period, api_key_id, template, model)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, name) DO UPDATE
SET limit_usd = excluded.limit_usd, period = excluded.period, api_key_id = excluded.api_key_id,
    template = excluded.template, model = excluded.model
RETURNING (xmax = 0) AS made;

-- name: delete
WITH gone AS (
    DELETE FROM budgets WHERE tenant = $1 AND name = $2 RETURNING name
), changed AS (
    UPDATE budget_version SET version = version + 1 WHERE only_row AND EXISTS (SELECT FROM gone)
), woken AS (
    UPDATE waiting w SET not_before = now()
    FROM (
        SELECT tenant, id FROM waiting
        WHERE tenant = $1 AND reason = 'budget' AND not_before > now() AND EXISTS (SELECT FROM gone)
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE w.tenant = d.tenant AND w.id = d.id
)
SELECT name FROM gone;

-- name: standings
SELECT b.tenant, b.name, b.limit_usd, b.period, b.api_key_id, b.template, b.model, b.serial, b.created_at,
       p.label, coalesce(a.spent_usd, 0) AS spent_usd, coalesce(a.held_usd, 0) AS held_usd
FROM budgets b
CROSS JOIN LATERAL (
    SELECT to_char(now() AT TIME ZONE 'utc',
                   CASE b.period WHEN 'hour' THEN 'YYYY-MM-DD"T"HH24' WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END
           ) COLLATE "C" AS label
) p
LEFT JOIN budget_accounts a ON a.tenant = b.tenant AND a.serial = b.serial AND a.label = p.label
WHERE b.tenant = $1
ORDER BY b.name;
