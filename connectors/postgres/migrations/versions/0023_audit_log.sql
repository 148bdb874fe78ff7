-- The audit log (docs/audit.md): one row a change, by whom, with how its object stood before and after.
CREATE TABLE audit_log (
    tenant             text COLLATE "C" NOT NULL,   -- whom it concerns; empty: the service as a whole
    id                 text COLLATE "C" NOT NULL,
    at                 timestamptz NOT NULL,
    actor              text NOT NULL,               -- key or command
    actor_tenant       text COLLATE "C" NOT NULL,   -- whose key; empty for a command
    key_id             text COLLATE "C" NOT NULL,
    request_id         text NOT NULL,
    address            text NOT NULL,
    action             text NOT NULL,
    object_type        text NOT NULL,
    object_id          text NOT NULL,
    before             text,                        -- JSON, without secrets
    after              text,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_log_of_tenant ON audit_log (tenant, at, id);
CREATE INDEX audit_log_of_all ON audit_log (at, id);
-- Rows are added, and removed when they are old: nothing else, whatever a program or a person tries.
CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days' THEN RETURN OLD; END IF; RAISE EXCEPTION
    'rows of the audit log are never changed, and not removed before they are 30 days old'; END $$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_stays();
CREATE TRIGGER audit_log_is_kept BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays();
