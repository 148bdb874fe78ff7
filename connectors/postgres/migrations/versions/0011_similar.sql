-- Whether hits of a template may be given, by the checks of late (domain/caching/semantic.py, Trust).
CREATE TABLE similar_trust (
    tenant             text COLLATE "C" NOT NULL,
    template           text COLLATE "C" NOT NULL,
    version            integer NOT NULL,
    checked            integer NOT NULL,
    wrong              integer NOT NULL,
    closed             boolean NOT NULL,
    since              integer NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, template, version)
);
