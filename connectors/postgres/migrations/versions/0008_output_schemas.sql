-- Named output schemas: versions that never change, and how the next one must fit (domain/schemas).

CREATE TABLE output_schemas (
    tenant             text COLLATE "C" NOT NULL,
    name               text COLLATE "C" NOT NULL,
    version            integer NOT NULL,
    body               bytea NOT NULL,
    digest             text NOT NULL,
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant, name, version)
);

CREATE TABLE output_schema_names (
    tenant             text COLLATE "C" NOT NULL,
    name               text COLLATE "C" NOT NULL,
    compatibility      text NOT NULL,
    latest             integer NOT NULL,
    updated_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant, name)
);
