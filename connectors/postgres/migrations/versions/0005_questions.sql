-- Rule L14: who asks what, at most once a tenant and question (docs/decisions/0014-the-first-take-holds-the-question.md).
-- Unlogged: a row costs no WAL, and a server that lost them all would only ask some questions twice. A row outlives its
-- request by half a minute, so that nothing is deleted on the hot path.

CREATE UNLOGGED TABLE questions (
    tenant             text COLLATE "C" NOT NULL,
    question           bytea NOT NULL,           -- a hash of the cache key
    id                 text COLLATE "C" NOT NULL,-- the request that holds it
    asked_at           timestamptz NOT NULL,
    PRIMARY KEY (tenant, question)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

-- Others wait for its answer: the end of the request is theirs, too.
ALTER TABLE claims ADD COLUMN followed boolean NOT NULL DEFAULT false;

-- The id of the request that holds the question.
ALTER TABLE waiting ADD COLUMN behind text COLLATE "C";
CREATE INDEX waiting_behind ON waiting (tenant, behind) WHERE behind IS NOT NULL;
