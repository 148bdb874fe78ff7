-- The operator's sinks: whether one is paused, and the last replay that was asked for (0 is none). Partitions are
-- written topic/partition; `replayed` are those that have followed it.
CREATE TABLE sinks (
    sink               text COLLATE "C" NOT NULL PRIMARY KEY,
    paused_at          timestamptz,
    replay             integer NOT NULL DEFAULT 0,
    replay_since       timestamptz,
    replay_places      text[] NOT NULL DEFAULT '{}',
    replay_offsets     bigint[] NOT NULL DEFAULT '{}',
    replayed           text[] NOT NULL DEFAULT '{}'
);

-- What each process of a sink said last.
CREATE TABLE sink_members (
    sink               text COLLATE "C" NOT NULL,
    member             text COLLATE "C" NOT NULL,
    state              text NOT NULL,
    lag                bigint NOT NULL,
    rows               bigint NOT NULL,
    refused            bigint NOT NULL,
    errors             bigint NOT NULL,
    oldest_at          timestamptz,
    detail             text NOT NULL,
    seen_at            timestamptz NOT NULL,
    PRIMARY KEY (sink, member)
) WITH (fillfactor = 50);
