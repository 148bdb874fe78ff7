-- One row a lifecycle event; `data` is JSON text.
CREATE TABLE IF NOT EXISTS events
(
    tenant LowCardinality(String),
    event_id String,
    type LowCardinality(String),
    id String,
    run UInt32,
    at DateTime64(3, 'UTC'),
    data String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (tenant, toStartOfHour(at), event_id);

-- prompt.events as it is: each row is {"value": <the record's value>}.
CREATE TABLE IF NOT EXISTS events_inlet
(
    value Tuple(
        event_id String,
        type String,
        tenant String,
        id String,
        run UInt32,
        at DateTime64(3, 'UTC'),
        data String)
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_mapping TO events AS
SELECT
    value.tenant AS tenant,
    value.event_id AS event_id,
    value.type AS type,
    value.id AS id,
    value.run AS run,
    value.at AS at,
    value.data AS data
FROM events_inlet
WHERE
    throwIf(
        value.event_id = '' OR value.type = ''
            OR value.at < toDateTime64('2000-01-01 00:00:00', 3, 'UTC'),
        'not a LifecycleEvent: event_id, type or at is missing or wrong') = 0;
