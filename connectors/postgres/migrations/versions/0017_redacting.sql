-- What is replaced in what a destination is sent (docs/destinations.md).
ALTER TABLE webhook_endpoints ADD COLUMN redact text[] NOT NULL DEFAULT '{}';
