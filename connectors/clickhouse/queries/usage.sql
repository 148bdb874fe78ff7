-- Usage since a time, grouped by the dimensions that are asked for; one that is not asked for is the same everywhere.
SELECT
    if({by_hour:Bool}, toStartOfHour(g.at), toDateTime(0, 'UTC')) AS by_hour,
    if({by_day:Bool}, toDate(g.at), toDate(0)) AS by_day,
    if({by_tenant:Bool}, g.tenant, '') AS by_tenant,
    if({by_api_key_id:Bool}, g.api_key_id, '') AS by_api_key_id,
    if({by_provider:Bool}, g.provider, '') AS by_provider,
    if({by_model:Bool}, g.model, '') AS by_model,
    if({by_template:Bool}, g.template, '') AS by_template,
    if({by_tags:Bool}, g.tags, CAST(map(), 'Map(String, String)')) AS by_tags,
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
WHERE (g.tenant = {tenant:String} OR {every_tenant:Bool}) AND g.at >= {since:DateTime64(3, 'UTC')}
GROUP BY by_hour, by_day, by_tenant, by_api_key_id, by_provider, by_model, by_template, by_tags
ORDER BY by_hour, by_day, cost_usd DESC, requests DESC, by_tenant, by_api_key_id, by_provider, by_model, by_template
