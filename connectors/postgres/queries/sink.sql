-- The PostgreSQL sink: values in as they came, mapped row by row. `json` and not `jsonb`, which refuses texts that JSON
-- allows; a time is matched first, since PostgreSQL reads `yesterday` as one. Rows are written in the order of their keys,
-- so that two statements at once do not wait for one another.

-- name: exists
SELECT to_regclass('structured_prompt.results') IS NOT NULL
   AND to_regclass('structured_prompt.calls') IS NOT NULL
   AND to_regclass('structured_prompt.events') IS NOT NULL AS found;

-- name: columns
-- What the tables are made of: they may have been made or changed by hand. Of a domain it is the type beneath.
SELECT c.relname::text AS table, a.attname::text AS name,
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
        ELSE format_type(a.atttypid, a.atttypmod) END AS type,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS needed
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid IN (
        to_regclass('structured_prompt.results'), to_regclass('structured_prompt.calls'),
        to_regclass('structured_prompt.events'))
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum;

-- name: results
-- The latest run of a request wins, whatever the order (an id_conflict is no request of its own).
INSERT INTO structured_prompt.results AS r (
    tenant, id, run, status, error_code, provider, model, cached, template, template_version, api_key_id, batch_id,
    subject, tags, metadata, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost_usd, attempts,
    queued_ms, provider_ms, total_ms, submitted_at, completed_at, output)
SELECT DISTINCT ON (x.tenant, x.id)
    x.tenant, x.id, x.run, x.status, x.error ->> 'code', x.provider, x.model, x.cached, x.template ->> 'name',
    (x.template ->> 'version')::integer, x.api_key_id, x.batch_id, x.subject, x.tags, x.metadata, u.input_tokens,
    u.output_tokens, u.cached_input_tokens, u.reasoning_tokens, u.cost_usd, u.attempts, t.queued_ms, t.provider_ms,
    t.total_ms,
    substring(x.submitted_at FROM '^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)$')::timestamptz,
    substring(x.completed_at FROM '^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)$')::timestamptz AS ended_at,
    x.output
FROM unnest($1::json[]) AS given (v),
    json_to_record(v) AS x (
        tenant text, id text, run integer, status text, error json, provider text, model text, cached text,
        template json, api_key_id text, batch_id text, subject text, tags json, metadata json, usage json,
        timings json, submitted_at text, completed_at text, output json),
    json_to_record(x.usage) AS u (
        input_tokens bigint, output_tokens bigint, cached_input_tokens bigint, reasoning_tokens bigint,
        cost_usd numeric, attempts integer),
    json_to_record(x.timings) AS t (queued_ms bigint, provider_ms bigint, total_ms bigint)
WHERE x.error ->> 'code' IS DISTINCT FROM 'id_conflict'
ORDER BY x.tenant, x.id, x.run DESC, ended_at DESC
ON CONFLICT (tenant, id) DO UPDATE
SET run = excluded.run, status = excluded.status, error_code = excluded.error_code, provider = excluded.provider,
    model = excluded.model, cached = excluded.cached, template = excluded.template,
    template_version = excluded.template_version, api_key_id = excluded.api_key_id, batch_id = excluded.batch_id,
    subject = excluded.subject, tags = excluded.tags, metadata = excluded.metadata,
    input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
    cached_input_tokens = excluded.cached_input_tokens, reasoning_tokens = excluded.reasoning_tokens,
    cost_usd = excluded.cost_usd, attempts = excluded.attempts, queued_ms = excluded.queued_ms,
    provider_ms = excluded.provider_ms, total_ms = excluded.total_ms, submitted_at = excluded.submitted_at,
    completed_at = excluded.completed_at, output = excluded.output
WHERE (r.run, r.completed_at) < (excluded.run, excluded.completed_at);

-- name: calls
-- An attempt whose outcome was unknown may become known later: that row wins.
INSERT INTO structured_prompt.calls AS r (
    tenant, id, run, attempt, api_key_id, provider, model, template, template_version, tags, outcome, repaired,
    input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost_usd, price_version, latency_ms,
    provider_request_id, at)
SELECT DISTINCT ON (x.tenant, x.id, x.run, x.attempt)
    x.tenant, x.id, x.run, x.attempt, x.api_key_id, x.provider, x.model, x.template ->> 'name',
    (x.template ->> 'version')::integer, x.tags, x.outcome, coalesce(x.repaired, false), x.input_tokens,
    x.output_tokens, x.cached_input_tokens, x.reasoning_tokens, x.cost_usd, x.price_version, x.latency_ms,
    x.provider_request_id, substring(x.at FROM '^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)$')::timestamptz
FROM unnest($1::json[]) AS given (v),
    json_to_record(v) AS x (
        tenant text, id text, run integer, attempt integer, api_key_id text, provider text, model text, template json,
        tags json, outcome text, repaired boolean, input_tokens bigint, output_tokens bigint,
        cached_input_tokens bigint, reasoning_tokens bigint, cost_usd numeric, price_version text, latency_ms bigint,
        provider_request_id text, at text)
ORDER BY x.tenant, x.id, x.run, x.attempt, x.outcome = 'unknown'
ON CONFLICT (tenant, id, run, attempt) DO UPDATE
SET api_key_id = excluded.api_key_id, provider = excluded.provider, model = excluded.model,
    template = excluded.template, template_version = excluded.template_version, tags = excluded.tags,
    outcome = excluded.outcome, repaired = excluded.repaired, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cached_input_tokens = excluded.cached_input_tokens,
    reasoning_tokens = excluded.reasoning_tokens, cost_usd = excluded.cost_usd,
    price_version = excluded.price_version, latency_ms = excluded.latency_ms,
    provider_request_id = excluded.provider_request_id, at = excluded.at
WHERE r.outcome = 'unknown' AND excluded.outcome <> 'unknown';

-- name: events
INSERT INTO structured_prompt.events (tenant, event_id, type, id, run, at, data)
SELECT DISTINCT ON (x.tenant, x.event_id)
    x.tenant, x.event_id, x.type, x.id, x.run, substring(x.at FROM '^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)$')::timestamptz, x.data
FROM unnest($1::json[]) AS given (v),
    json_to_record(v) AS x (tenant text, event_id text, type text, id text, run integer, at text, data json)
ORDER BY x.tenant, x.event_id
ON CONFLICT (tenant, event_id) DO NOTHING;
