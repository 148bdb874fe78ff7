-- One row a request, the latest run wins. The key holds neither run nor time, so that FINAL finds one row a request
-- even when a later run ended on another day; the revision is the run, then the time it ended.
CREATE TABLE IF NOT EXISTS results
(
    tenant LowCardinality(String),
    id String,
    run UInt32,
    status LowCardinality(String),
    error_code LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    cached LowCardinality(String),
    template LowCardinality(String),
    template_version UInt32,
    api_key_id LowCardinality(String),
    batch_id String,
    tags Map(String, String),
    input_tokens UInt64,
    output_tokens UInt64,
    cached_input_tokens UInt64,
    reasoning_tokens UInt64,
    cost_usd Decimal(18, 9),
    attempts UInt32,
    queued_ms UInt64,
    provider_ms UInt64,
    total_ms UInt64,
    submitted_at DateTime64(3, 'UTC'),
    completed_at DateTime64(3, 'UTC'),
    output String CODEC(ZSTD),
    revision UInt64 MATERIALIZED bitShiftLeft(toUInt64(run), 42) + toUInt64(toUnixTimestamp64Milli(completed_at))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toDate(completed_at)
ORDER BY (tenant, id);

-- Tenants whose answers are kept in results.output.
CREATE TABLE IF NOT EXISTS answer_tenants
(
    tenant String,
    stored Bool,
    changed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY tenant;

-- prompt.results as it is: each row is {"value": <the record's value>}.
CREATE TABLE IF NOT EXISTS results_inlet
(
    value Tuple(
        id String,
        tenant String,
        run UInt32,
        status String,
        output String,
        error Tuple(code String),
        model String,
        provider String,
        cached String,
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
        completed_at DateTime64(3, 'UTC'))
)
ENGINE = Null;

-- Row by row. An id_conflict is an answer to somebody who reused an id, not a request of its own.
CREATE MATERIALIZED VIEW IF NOT EXISTS results_mapping TO results AS
SELECT
    value.tenant AS tenant,
    value.id AS id,
    value.run AS run,
    value.status AS status,
    value.error.code AS error_code,
    value.provider AS provider,
    value.model AS model,
    value.cached AS cached,
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
