-- Usage records of calls that are no attempts at an answer, as embeddings are, until they are produced.
CREATE TABLE beside_usage (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    number             integer NOT NULL,
    record             bytea NOT NULL,
    traceparent        text NOT NULL,
    look_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant, id, run, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX beside_usage_look_at ON beside_usage (look_at);
