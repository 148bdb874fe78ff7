-- Of answers that were not called for: how old they were, and what they cost when they were called for.
ALTER TABLE results ADD COLUMN IF NOT EXISTS cache_age_s Float64 DEFAULT 0 AFTER cached;

ALTER TABLE results ADD COLUMN IF NOT EXISTS saved_usd Decimal(18, 9) DEFAULT 0 AFTER cache_age_s;

ALTER TABLE results_inlet MODIFY COLUMN value Tuple(
    id String,
    tenant String,
    run UInt32,
    status String,
    output String,
    error Tuple(code String),
    model String,
    provider String,
    cached String,
    cache Tuple(age_s Float64, saved_usd Decimal(18, 9)),
    usage Tuple(
        input_tokens UInt64,
        output_tokens UInt64,
        cached_input_tokens UInt64,
        reasoning_tokens UInt64,
        cost_usd Decimal(18, 9),
        attempts UInt32),
    timings Tuple(queued_ms Int64, provider_ms Int64, total_ms Int64),
    template Tuple(name String, version UInt32),
    api_key_id String,
    batch_id String,
    tags Map(String, String),
    submitted_at DateTime64(3, 'UTC'),
    completed_at DateTime64(3, 'UTC'));

ALTER TABLE results_mapping MODIFY QUERY
SELECT
    value.tenant AS tenant,
    value.id AS id,
    value.run AS run,
    value.status AS status,
    value.error.code AS error_code,
    value.provider AS provider,
    value.model AS model,
    value.cached AS cached,
    value.cache.age_s AS cache_age_s,
    value.cache.saved_usd AS saved_usd,
    value.template.name AS template,
    value.template.version AS template_version,
    value.api_key_id AS api_key_id,
    value.batch_id AS batch_id,
    mapSort(value.tags) AS tags,
    value.usage.input_tokens AS input_tokens,
    value.usage.output_tokens AS output_tokens,
    value.usage.cached_input_tokens AS cached_input_tokens,
    value.usage.reasoning_tokens AS reasoning_tokens,
    value.usage.cost_usd AS cost_usd,
    value.usage.attempts AS attempts,
    toUInt64(greatest(value.timings.queued_ms, 0)) AS queued_ms,
    toUInt64(greatest(value.timings.provider_ms, 0)) AS provider_ms,
    toUInt64(greatest(value.timings.total_ms, 0)) AS total_ms,
    value.submitted_at AS submitted_at,
    value.completed_at AS completed_at,
    if(value.tenant IN (SELECT tenant FROM answer_tenants FINAL WHERE stored), value.output, '') AS output
FROM results_inlet
WHERE
    throwIf(
        value.tenant = '' OR value.id = '' OR value.status NOT IN ('completed', 'failed', 'rejected')
            OR value.completed_at < toDateTime64('2000-01-01 00:00:00', 3, 'UTC'),
        'not a PromptResult: tenant, id, status or completed_at is missing or wrong') = 0
    AND value.error.code != 'id_conflict';

-- Of the requests that completed: how many were not called for, what that saved, how old the answers were. An answer that
-- was given to several at the same time has no age.
CREATE OR REPLACE VIEW cache_daily AS
SELECT
    toDate(completed_at) AS day, tenant, template, model,
    count() AS completed,
    countIf(cached = 'exact') AS exact,
    countIf(cached = 'semantic') AS semantic,
    countIf(cached = 'coalesced') AS coalesced,
    countIf(cached != '') / count() AS hit_rate,
    sum(r.saved_usd) AS saved_usd,
    if(countIf(cached IN ('exact', 'semantic')) = 0, 0, avgIf(cache_age_s, cached IN ('exact', 'semantic'))) AS mean_age_s
FROM results AS r FINAL
WHERE status = 'completed'
GROUP BY day, tenant, template, model;
