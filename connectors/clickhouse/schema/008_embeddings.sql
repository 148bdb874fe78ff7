-- The usage record of an embedding is attempt 0: calls to models count from 1.
ALTER TABLE calls_mapping MODIFY QUERY
SELECT
    value.tenant AS tenant,
    value.id AS id,
    value.run AS run,
    value.attempt AS attempt,
    value.api_key_id AS api_key_id,
    value.provider AS provider,
    value.model AS model,
    value.template.name AS template,
    value.template.version AS template_version,
    mapSort(value.tags) AS tags,
    value.outcome AS outcome,
    value.repaired AS repaired,
    value.input_tokens AS input_tokens,
    value.output_tokens AS output_tokens,
    value.cached_input_tokens AS cached_input_tokens,
    value.reasoning_tokens AS reasoning_tokens,
    value.cost_usd AS cost_usd,
    value.price_version AS price_version,
    toUInt64(greatest(value.latency_ms, 0)) AS latency_ms,
    value.provider_request_id AS provider_request_id,
    value.at AS at
FROM calls_inlet
WHERE
    throwIf(
        value.tenant = '' OR value.id = '' OR value.price_version = '' OR value.outcome = ''
            OR value.at < toDateTime64('2000-01-01 00:00:00', 3, 'UTC'),
        'not a UsageRecord: tenant, id, price_version, outcome or at is missing or wrong') = 0;
