-- Findings: the columns that filters and ordering need, and the whole finding
-- as JSON, which is what readers get back.
CREATE TABLE findings (
    id            VARCHAR PRIMARY KEY,
    detector      VARCHAR NOT NULL,
    zone          VARCHAR NOT NULL,       -- apex with trailing dot; '' in no watched zone
    source_prefix VARCHAR NOT NULL,
    severity      UTINYINT NOT NULL,      -- 0 informational to 4 critical
    summary       VARCHAR NOT NULL,
    first_seen    TIMESTAMP_NS NOT NULL,  -- event time, UTC
    last_seen     TIMESTAMP_NS NOT NULL,
    open          BOOLEAN NOT NULL,
    updated_at    TIMESTAMP_NS NOT NULL,  -- wall clock, UTC
    revision      BIGINT NOT NULL,
    finding       JSON NOT NULL
);

CREATE SEQUENCE findings_revision;

-- Query events that are not sealed yet. batch orders commits, so that sealing
-- can name exactly the rows it has exported.
CREATE TABLE queries_recent (
    batch       BIGINT NOT NULL,
    time        TIMESTAMP_NS NOT NULL,
    client      VARCHAR,
    server      VARCHAR,
    client_port USMALLINT,
    transport   VARCHAR,
    name        VARCHAR NOT NULL,
    zone        VARCHAR NOT NULL,
    state       VARCHAR NOT NULL,
    opcode      UTINYINT NOT NULL,
    qtype       USMALLINT NOT NULL,
    qclass      USMALLINT NOT NULL,
    rcode       SMALLINT,
    flags       UINTEGER NOT NULL,
    ecs         VARCHAR,
    sensor      VARCHAR NOT NULL
);

-- The hash chain. hash covers prev_hash and the canonical form of the entry.
CREATE TABLE ledger (
    seq       BIGINT PRIMARY KEY,
    time      VARCHAR NOT NULL,           -- RFC 3339, UTC, as hashed
    kind      VARCHAR NOT NULL,
    payload   JSON NOT NULL,              -- canonical, as hashed
    prev_hash VARCHAR NOT NULL,           -- lower-case hex
    hash      VARCHAR NOT NULL
);

-- Sealed hours. A removed segment keeps its row.
CREATE TABLE segments (
    path        VARCHAR PRIMARY KEY,      -- below segments/, with slashes
    hour        TIMESTAMP_NS NOT NULL,    -- start of the hour of event time, UTC
    row_count   BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      VARCHAR NOT NULL,
    min_time    TIMESTAMP_NS NOT NULL,
    max_time    TIMESTAMP_NS NOT NULL,
    max_batch   BIGINT NOT NULL,
    hold        BOOLEAN NOT NULL,
    hold_reason VARCHAR NOT NULL,
    removed     BOOLEAN NOT NULL
);

-- Segments being written. A row that is still here at start names a file that
-- a crash has left half done.
CREATE TABLE sealing (
    path VARCHAR NOT NULL
);
