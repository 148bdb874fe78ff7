-- What is on prompt.dead-letters, by tenant and time (docs/decisions/0010-dead-letters-are-a-table.md). A letter of
-- nobody has the tenant ''. Rows are few: nothing is written here while requests go well.

CREATE TABLE dead_letters (
    tenant             text COLLATE "C" NOT NULL,
    letter             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C",
    run                integer,
    code               text NOT NULL,
    stage              text NOT NULL,
    reason             text NOT NULL,
    topic              text NOT NULL,
    attempts           integer NOT NULL,
    size               bigint NOT NULL,
    first_seen         timestamptz NOT NULL,
    last_seen          timestamptz NOT NULL,
    body               bytea NOT NULL,           -- the DeadLetter message as it was produced
    redriven_at        timestamptz,
    redriven_run       integer,                  -- NULL where the record was published again
    publish_at         timestamptz,              -- to be published again then
    value              bytea,                    -- what to publish where the record was edited
    PRIMARY KEY (tenant, letter)
);
CREATE INDEX dead_letters_newest ON dead_letters (tenant, last_seen DESC, letter DESC);
CREATE INDEX dead_letters_last_seen ON dead_letters (last_seen DESC, letter DESC);
CREATE INDEX dead_letters_publish_at ON dead_letters (publish_at) WHERE publish_at IS NOT NULL;
