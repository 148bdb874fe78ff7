-- Objects of a bucket's prefix that is a source (docs/sources.md): each version of each is read once.
CREATE TABLE source_objects (
    source             text COLLATE "C" NOT NULL,
    key                text COLLATE "C" NOT NULL,
    version            text NOT NULL,
    rows               bigint NOT NULL,          -- those that are requests, or dead letters
    done               boolean NOT NULL,
    modified_at        timestamptz NOT NULL,
    PRIMARY KEY (source, key)
);

CREATE TABLE source_readers (
    source             text COLLATE "C" PRIMARY KEY,
    member             text NOT NULL,
    until              timestamptz NOT NULL
);
