-- Destinations of tenants beside webhooks (docs/decisions/0039-a-destination-is-an-endpoint-of-a-kind.md).
ALTER TABLE webhook_endpoints
    ADD COLUMN kind            text NOT NULL DEFAULT 'webhook',
    ADD COLUMN bucket          jsonb,                    -- of kind s3: where it is
    ADD COLUMN sealed          bytea,                    -- its secret key, under the pepper
    ADD COLUMN paused          boolean NOT NULL DEFAULT false,
    ADD COLUMN last_success_at timestamptz,
    ADD COLUMN last_error_at   timestamptz,
    ADD COLUMN last_status     integer,
    ADD COLUMN last_error      text NOT NULL DEFAULT '',
    ADD COLUMN given_up        bigint NOT NULL DEFAULT 0;

-- processes of the version before put rows without it
ALTER TABLE delivery_queue ADD COLUMN since timestamptz NOT NULL DEFAULT now();

-- A lane that is more than its time: paused, or filled for a while and emptied into objects of at most `at_once`.
ALTER TABLE delivery_lanes
    ADD COLUMN paused          boolean NOT NULL DEFAULT false,
    ADD COLUMN at_once         integer NOT NULL DEFAULT 1,
    ADD COLUMN every           interval NOT NULL DEFAULT '0';
DROP INDEX delivery_lanes_next;
CREATE INDEX delivery_lanes_next ON delivery_lanes (next_at) WHERE NOT paused;
