-- Requests and attempts are different grains: a union of both, never a join (a request with three attempts is one
-- request). A request counts in the hour it ended, an attempt in the hour it was sent. Computed from the rows
-- themselves, so that late and re-delivered rows are always right. Runs of one request may lie in different partitions,
-- rows of one attempt never do.
CREATE OR REPLACE VIEW usage_grains AS
SELECT
    completed_at AS at, tenant, api_key_id, provider, model, template, tags,
    1 AS requests,
    status = 'completed' AS completed,
    status = 'failed' AS failed,
    status = 'rejected' AS rejected,
    cached != '' AS cached,
    0 AS calls,
    toUInt64(0) AS input_tokens,
    toUInt64(0) AS output_tokens,
    toDecimal64(0, 9) AS cost_usd,
    total_ms
FROM results FINAL
SETTINGS do_not_merge_across_partitions_select_final = 0
UNION ALL
SELECT
    at, tenant, api_key_id, provider, model, template, tags,
    0 AS requests,
    0 AS completed,
    0 AS failed,
    0 AS rejected,
    0 AS cached,
    1 AS calls,
    input_tokens,
    output_tokens,
    cost_usd,
    toUInt64(0) AS total_ms
FROM calls FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW usage_hourly AS
SELECT
    toStartOfHour(at) AS hour, tenant, api_key_id, provider, model, template, tags,
    sum(g.requests) AS requests,
    sum(g.completed) AS completed,
    sum(g.failed) AS failed,
    sum(g.rejected) AS rejected,
    sum(g.cached) AS cached,
    sum(g.input_tokens) AS input_tokens,
    sum(g.output_tokens) AS output_tokens,
    sum(g.cost_usd) AS cost_usd,
    quantileExactWeightedIf(0.5)(g.total_ms, 1, g.requests = 1) AS p50_ms,
    quantileExactWeightedIf(0.95)(g.total_ms, 1, g.requests = 1) AS p95_ms,
    quantileExactWeightedIf(0.99)(g.total_ms, 1, g.requests = 1) AS p99_ms
FROM usage_grains AS g
GROUP BY hour, tenant, api_key_id, provider, model, template, tags;

CREATE OR REPLACE VIEW usage_daily AS
SELECT
    toDate(at) AS day, tenant, api_key_id, provider, model, template, tags,
    sum(g.requests) AS requests,
    sum(g.completed) AS completed,
    sum(g.failed) AS failed,
    sum(g.rejected) AS rejected,
    sum(g.cached) AS cached,
    sum(g.input_tokens) AS input_tokens,
    sum(g.output_tokens) AS output_tokens,
    sum(g.cost_usd) AS cost_usd,
    quantileExactWeightedIf(0.5)(g.total_ms, 1, g.requests = 1) AS p50_ms,
    quantileExactWeightedIf(0.95)(g.total_ms, 1, g.requests = 1) AS p95_ms,
    quantileExactWeightedIf(0.99)(g.total_ms, 1, g.requests = 1) AS p99_ms
FROM usage_grains AS g
GROUP BY day, tenant, api_key_id, provider, model, template, tags;
