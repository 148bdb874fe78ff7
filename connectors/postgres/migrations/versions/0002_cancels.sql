-- Rule L11: what is to be cancelled and is not over yet, claimed or not. A side table of few rows, so that neither the
-- claims need an index for it nor a worker a question about each of its requests.

CREATE TABLE cancels (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    run                integer NOT NULL,
    worker             bigint,                   -- workers.worker, who held it at the last look
    asked_at           timestamptz NOT NULL,
    look_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX cancels_look_at ON cancels (look_at);
CREATE INDEX cancels_worker ON cancels (worker) WHERE worker IS NOT NULL;
