-- Sources that operators made over HTTP (docs/sources.md): the fields of the file, secrets apart.
CREATE TABLE sources (
    name               text COLLATE "C" PRIMARY KEY,
    fields             text NOT NULL,            -- JSON, its variables named and not their values
    sealed             bytea NOT NULL,           -- those, encrypted with a key from the pepper; empty without any
    changed_at         timestamptz NOT NULL
);
