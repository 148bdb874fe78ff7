-- Rule L4: the claim is narrow, hash-partitioned and has no index besides its key, so that its three updates stay in
-- the page (HOT; the fill factor leaves them room). Everything starts with the tenant; no foreign keys on hot tables.
-- Texts compare bytewise (COLLATE "C"), as Python orders them: every statement locks rows in that order (rule L16).

CREATE TABLE claims (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    day                date NOT NULL,            -- of this run's claim: names the day partitions of its other rows
    run                integer NOT NULL,
    epoch              integer NOT NULL,
    state              text NOT NULL,
    lane               text NOT NULL,
    worker             bigint,                   -- workers.worker, while dispatched
    dispatches         smallint NOT NULL,        -- handed out and not heard of again (rule L9)
    attempts           integer NOT NULL,         -- attempts of this run so far
    fail_on_unknown    boolean NOT NULL,
    cancel_requested   boolean NOT NULL,
    body_hash          bytea NOT NULL,
    source_topic       text NOT NULL,
    source_partition   integer NOT NULL,
    source_offset      bigint NOT NULL,
    submitted_at       timestamptz NOT NULL,
    deadline           timestamptz,
    claimed_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    settled_at         timestamptz,
    emitted_at         timestamptz,
    settled_by         text,
    error_code         text,
    PRIMARY KEY (tenant, id)
) PARTITION BY HASH (tenant, id);

CREATE TABLE claims_0 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 0) WITH (fillfactor = 60);
CREATE TABLE claims_1 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 1) WITH (fillfactor = 60);
CREATE TABLE claims_2 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 2) WITH (fillfactor = 60);
CREATE TABLE claims_3 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 3) WITH (fillfactor = 60);
CREATE TABLE claims_4 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 4) WITH (fillfactor = 60);
CREATE TABLE claims_5 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 5) WITH (fillfactor = 60);
CREATE TABLE claims_6 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 6) WITH (fillfactor = 60);
CREATE TABLE claims_7 PARTITION OF claims FOR VALUES WITH (MODULUS 8, REMAINDER 7) WITH (fillfactor = 60);

-- The day partitions: inserted once, dropped by day. The default partition takes what no partition was made for.

CREATE TABLE bodies (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    day                date NOT NULL,
    claimed_at         timestamptz NOT NULL,
    call               bytea NOT NULL,           -- the encoded PromptCall
    PRIMARY KEY (tenant, id, run, day)
) PARTITION BY RANGE (day);
-- The patrol walks along the time of the claims (connectors/postgres/sweeping.py).
CREATE INDEX bodies_claimed_at ON bodies (claimed_at);
CREATE TABLE bodies_default PARTITION OF bodies DEFAULT;

CREATE TABLE results (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    day                date NOT NULL,
    state              text NOT NULL,
    error_code         text,
    settled_at         timestamptz NOT NULL,
    result             bytea NOT NULL,           -- the encoded PromptResult, never serialised again (rule L11)
    PRIMARY KEY (tenant, id, run, day)
) PARTITION BY RANGE (day);
CREATE TABLE results_default PARTITION OF results DEFAULT;

CREATE TABLE attempts (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    attempt            integer NOT NULL,
    day                date NOT NULL,
    epoch              integer NOT NULL,
    provider           text NOT NULL DEFAULT '',
    model              text NOT NULL DEFAULT '',
    outcome            text NOT NULL,
    cost_usd           numeric,
    input_tokens       integer,
    output_tokens      integer,
    started_at         timestamptz NOT NULL,
    finished_at        timestamptz,
    record             bytea,                    -- the encoded UsageRecord
    PRIMARY KEY (tenant, id, run, attempt, day)
) PARTITION BY RANGE (day);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT WITH (fillfactor = 50);

-- The side tables: few rows, inserted and deleted.

CREATE TABLE waiting (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    epoch              integer NOT NULL,
    not_before         timestamptz NOT NULL,
    reason             text NOT NULL,
    lane               text NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX waiting_not_before ON waiting (not_before);

CREATE TABLE lookouts (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    look_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX lookouts_look_at ON lookouts (look_at);

CREATE TABLE patrol (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seen               timestamptz NOT NULL      -- every request claimed up to here was looked at
);
INSERT INTO patrol (seen) VALUES (now());

CREATE TABLE workers (
    worker             bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    incarnation        text NOT NULL UNIQUE,
    stage              text NOT NULL,
    renewed_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Accounts and jobs.

CREATE TABLE tenants (
    name               text COLLATE "C" PRIMARY KEY,
    active             boolean NOT NULL,
    requests_per_minute integer,
    burst              integer,
    store_answers      boolean NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    name               text NOT NULL,
    digest             bytea NOT NULL UNIQUE,
    hint               text NOT NULL,
    created_at         timestamptz NOT NULL,
    requests_per_minute integer,
    burst              integer,
    revoked_at         timestamptz,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE jobs (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    body_hash          bytea NOT NULL,
    submitted_at       timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    api_key_id         text,
    idempotency_key    text COLLATE "C",
    PRIMARY KEY (tenant, id)
);
CREATE INDEX jobs_newest ON jobs (tenant, submitted_at DESC, id DESC);
CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE outbox (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    created_at         timestamptz NOT NULL,
    record             bytea NOT NULL,           -- the PromptRequest to produce
    traceparent        text,
    reply_to           text,
    PRIMARY KEY (tenant, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_created_at ON outbox (created_at);
