-- How far each partition is carried into a stream of a destination that counts its rows (docs/decisions/0038): records
-- below next_offset are rows 0 to `rows` of the stream, or refused.
CREATE TABLE sink_streams (
    target             text COLLATE "C" NOT NULL,
    topic              text COLLATE "C" NOT NULL,
    partition          integer NOT NULL,
    stream             text NOT NULL,
    born               text NOT NULL,
    next_offset        bigint NOT NULL,
    rows               bigint NOT NULL,
    refused            jsonb NOT NULL,
    updated_at         timestamptz NOT NULL,
    PRIMARY KEY (target, topic, partition)
);
