-- A plan is a set of limits that tenants share; what a tenant or a key has of its own comes first.
CREATE TABLE plans (
    name               text COLLATE "C" PRIMARY KEY,
    requests_per_minute integer,
    burst              integer,
    tokens_per_minute  integer,
    token_burst        integer,
    concurrency        integer
);

ALTER TABLE tenants ADD COLUMN plan text COLLATE "C", ADD COLUMN tokens_per_minute integer,
    ADD COLUMN token_burst integer, ADD COLUMN concurrency integer;
ALTER TABLE api_keys ADD COLUMN tokens_per_minute integer, ADD COLUMN token_burst integer,
    ADD COLUMN concurrency integer;

-- Who waits for a place is due when one is free, the earliest deadline first, and never by the clock alone: a long
-- queue of them must not lie in front of those whose time has come.
ALTER TABLE waiting ADD COLUMN gate text COLLATE "C", ADD COLUMN deadline timestamptz;
DROP INDEX waiting_not_before;
CREATE INDEX waiting_not_before ON waiting (not_before) WHERE gate IS NULL;
CREATE INDEX waiting_gate ON waiting (tenant, gate, deadline, not_before) WHERE gate IS NOT NULL;
