-- What became of zones.

-- Records of deliveries that are not committed yet, of inputs that cannot send them
-- again, and of what is too large to be compared in memory. Their order says which of two
-- rows about one record is the last word. key is the first half of a SHA-256 of
-- name, type, class and data: what makes a record the same wherever it is.
CREATE TABLE records_staged (
    input    UINTEGER NOT NULL,
    delivery BIGINT NOT NULL,
    zone     VARCHAR NOT NULL,
    name     VARCHAR NOT NULL,
    type     VARCHAR NOT NULL,
    class    VARCHAR NOT NULL,
    ttl      BIGINT NOT NULL,             -- seconds
    data     VARCHAR NOT NULL,
    key      UUID NOT NULL,
    churn    BOOLEAN NOT NULL,
    change   VARCHAR NOT NULL,            -- '', add, remove
    time     TIMESTAMP_NS,
    "commit" VARCHAR NOT NULL,
    author   VARCHAR NOT NULL,
    comment  VARCHAR NOT NULL
);

-- One row for each time that a record was there, in what one source says of one scope.
-- What lives in a scope is also held in memory, as fingerprints that lead here by id;
-- ids grow, so that few blocks have to be read to find one.
CREATE TABLE record_lives (
    id           BIGINT NOT NULL,
    zone         VARCHAR NOT NULL,        -- apex with trailing dot, or ''
    name         VARCHAR NOT NULL,
    type         VARCHAR NOT NULL,
    class        VARCHAR NOT NULL,
    ttl          BIGINT NOT NULL,         -- seconds, as last seen
    data         VARCHAR NOT NULL,
    key          UUID NOT NULL,
    source       VARCHAR NOT NULL,
    scope        VARCHAR NOT NULL,
    method       VARCHAR NOT NULL,
    since        TIMESTAMP_NS NOT NULL,
    began        BOOLEAN NOT NULL,        -- since is when it began, not only when it was first looked at
    until        TIMESTAMP_NS,            -- NULL while it is there
    since_serial UINTEGER,
    until_serial UINTEGER,
    churn        BOOLEAN NOT NULL
);

CREATE SEQUENCE record_change_id;

-- One row for each RRset that an observation has changed.
CREATE TABLE record_changes (
    id          BIGINT NOT NULL DEFAULT nextval('record_change_id'),
    time        TIMESTAMP_NS NOT NULL,
    received    TIMESTAMP_NS NOT NULL,    -- wall clock, UTC
    zone        VARCHAR NOT NULL,
    name        VARCHAR NOT NULL,
    type        VARCHAR NOT NULL,
    class       VARCHAR NOT NULL,
    old_data    VARCHAR[] NOT NULL,
    new_data    VARCHAR[] NOT NULL,
    old_ttl     BIGINT NOT NULL,
    new_ttl     BIGINT NOT NULL,
    source      VARCHAR NOT NULL,
    scope       VARCHAR NOT NULL,
    method      VARCHAR NOT NULL,
    serial_from UINTEGER,
    serial_to   UINTEGER,                 -- NULL when serials are not known
    author      VARCHAR NOT NULL,
    "commit"    VARCHAR NOT NULL,
    comment     VARCHAR NOT NULL,
    churn       BOOLEAN NOT NULL
);

CREATE SEQUENCE zone_version_id;

-- One row for each observation of a zone that changed something or had a new serial.
CREATE TABLE zone_versions (
    id       BIGINT NOT NULL DEFAULT nextval('zone_version_id'),
    zone     VARCHAR NOT NULL,
    source   VARCHAR NOT NULL,
    scope    VARCHAR NOT NULL,
    method   VARCHAR NOT NULL,
    serial   UINTEGER,
    time     TIMESTAMP_NS NOT NULL,
    received TIMESTAMP_NS NOT NULL,       -- wall clock, UTC
    records  BIGINT NOT NULL,
    added    BIGINT NOT NULL,
    removed  BIGINT NOT NULL,
    churn    BIGINT NOT NULL,
    first    BOOLEAN NOT NULL,
    partial  BOOLEAN NOT NULL
);
