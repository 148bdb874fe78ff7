-- Exports into a bucket. Of a running one `due_at` is the end of its lease, `fence` counts how often it was taken; the
-- columns from `rows` on say what is durable of its file.
CREATE TABLE export_jobs (
    tenant             text COLLATE "C" NOT NULL,
    id                 text COLLATE "C" NOT NULL,
    schedule           text,
    format             text NOT NULL,
    since              timestamptz NOT NULL,
    until              timestamptz NOT NULL,
    template           text,
    status             text,
    fields             text[],
    state              text NOT NULL,
    detail             text NOT NULL,
    created_at         timestamptz NOT NULL,
    due_at             timestamptz NOT NULL,
    started_at         timestamptz,
    ended_at           timestamptz,
    fence              integer NOT NULL DEFAULT 0,
    tries              integer NOT NULL DEFAULT 0,
    rows               bigint NOT NULL DEFAULT 0,
    bytes              bigint NOT NULL DEFAULT 0,
    total              bigint,
    after              text NOT NULL DEFAULT '',
    key                text,
    upload             text,
    parts              text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70);

CREATE INDEX export_jobs_due ON export_jobs (due_at) WHERE ended_at IS NULL;

CREATE INDEX export_jobs_newest ON export_jobs (tenant, created_at DESC, id DESC);

CREATE INDEX export_jobs_unfinished ON export_jobs (tenant) WHERE ended_at IS NULL;

CREATE INDEX export_jobs_ended ON export_jobs (ended_at) WHERE ended_at IS NOT NULL;

-- When exports are made by themselves: `done_until` is the end of what was ordered, `next_at` the time of the next run.
CREATE TABLE export_schedules (
    tenant             text COLLATE "C" NOT NULL,
    name               text COLLATE "C" NOT NULL,
    cron               text NOT NULL,
    zone               text NOT NULL,
    format             text NOT NULL,
    template           text,
    status             text,
    fields             text[],
    created_at         timestamptz NOT NULL,
    done_until         timestamptz NOT NULL,
    next_at            timestamptz NOT NULL,
    paused_at          timestamptz,
    last_job           text,
    PRIMARY KEY (tenant, name)
);

CREATE INDEX export_schedules_next ON export_schedules (next_at) WHERE paused_at IS NULL;
