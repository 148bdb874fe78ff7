-- What the PostgreSQL sink writes to, in a database of the operator's: columns as in ClickHouse (docs/sinks.md).
CREATE SCHEMA IF NOT EXISTS structured_prompt;

CREATE TABLE IF NOT EXISTS structured_prompt.results
(
    tenant text NOT NULL,
    id text NOT NULL,
    run integer NOT NULL,
    status text NOT NULL CHECK (status IN ('completed', 'failed', 'rejected')),
    error_code text,
    provider text,
    model text,
    cached text,
    template text,
    template_version integer,
    api_key_id text,
    batch_id text,
    subject text,
    tags json,
    metadata json,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint,
    reasoning_tokens bigint,
    cost_usd numeric NOT NULL,
    attempts integer,
    queued_ms bigint,
    provider_ms bigint,
    total_ms bigint,
    submitted_at timestamptz,
    completed_at timestamptz NOT NULL,
    output json,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE IF NOT EXISTS structured_prompt.calls
(
    tenant text NOT NULL,
    id text NOT NULL,
    run integer NOT NULL,
    attempt integer NOT NULL,
    api_key_id text,
    provider text NOT NULL,
    model text NOT NULL,
    template text,
    template_version integer,
    tags json,
    outcome text NOT NULL,
    repaired boolean,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint,
    reasoning_tokens bigint,
    cost_usd numeric NOT NULL,
    price_version text,
    latency_ms bigint,
    provider_request_id text,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant, id, run, attempt)
);

CREATE TABLE IF NOT EXISTS structured_prompt.events
(
    tenant text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    id text,
    run integer,
    at timestamptz NOT NULL,
    data json,
    PRIMARY KEY (tenant, event_id)
)
