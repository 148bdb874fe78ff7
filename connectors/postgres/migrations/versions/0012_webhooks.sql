-- Webhooks (docs/decisions/0027-a-queue-of-lanes.md). Nothing here is touched for a tenant without endpoints.
CREATE TABLE webhook_endpoints (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    url                text NOT NULL,
    events             text[] NOT NULL,          -- none is all
    fields             text[],                   -- of a result; NULL is all
    description        text NOT NULL,
    salt               bytea NOT NULL,           -- of the secret, which is kept nowhere
    old_salt           bytea,
    old_until          timestamptz,
    enabled            boolean NOT NULL,
    disabled           text,                     -- by us, and why
    untold             boolean NOT NULL DEFAULT false,
    failing_since      timestamptz,
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX webhook_endpoints_newest ON webhook_endpoints (tenant, created_at DESC, id DESC);
CREATE INDEX webhook_endpoints_untold ON webhook_endpoints (tenant) WHERE untold;

CREATE TABLE webhook_version (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version            bigint NOT NULL           -- of all endpoints; each batch of records asks for it
);
INSERT INTO webhook_version (version) VALUES (1);

-- The day is that of the event: a record that is read again falls on its own row.
CREATE TABLE deliveries (
    tenant             text COLLATE "C" NOT NULL,
    endpoint           text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    day                date NOT NULL,
    type               text NOT NULL,
    at                 timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    url                text,                     -- of a callback
    body               bytea NOT NULL,
    PRIMARY KEY (tenant, endpoint, id, day)
) PARTITION BY RANGE (day);
CREATE INDEX deliveries_newest ON deliveries (tenant, endpoint, created_at DESC, id DESC);
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;

CREATE TABLE delivery_attempts (
    tenant             text COLLATE "C" NOT NULL,
    endpoint           text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    day                date NOT NULL,
    at                 timestamptz NOT NULL,
    outcome            text NOT NULL,
    ms                 integer NOT NULL,
    status             integer,
    request            text NOT NULL,
    head               text NOT NULL,
    error              text NOT NULL,
    PRIMARY KEY (tenant, endpoint, id, day, at)
) PARTITION BY RANGE (day);
CREATE TABLE delivery_attempts_default PARTITION OF delivery_attempts DEFAULT;

CREATE TABLE delivery_queue (
    tenant             text COLLATE "C" NOT NULL,
    endpoint           text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    day                date NOT NULL,
    tried              smallint NOT NULL,
    next_at            timestamptz NOT NULL,     -- while somebody has it: when it is free again
    PRIMARY KEY (tenant, endpoint, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX delivery_queue_next ON delivery_queue (tenant, endpoint, next_at);
CREATE INDEX delivery_queue_day ON delivery_queue (day);

-- One row a destination: never later than the first of its queue. Whoever takes from the queue holds this row.
CREATE TABLE delivery_lanes (
    tenant             text COLLATE "C" NOT NULL,
    endpoint           text COLLATE "C" NOT NULL,
    next_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant, endpoint)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX delivery_lanes_next ON delivery_lanes (next_at);
