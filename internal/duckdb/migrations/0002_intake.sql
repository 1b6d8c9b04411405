-- Exactly what came in. Rows of queries_recent and events carry the delivery
-- they came with; a delivery counts when it is at most the closed one or listed
-- as committed.
ALTER TABLE queries_recent ADD COLUMN input UINTEGER DEFAULT 0;
ALTER TABLE queries_recent ADD COLUMN delivery BIGINT DEFAULT 0;

CREATE TABLE inputs (
    id         UINTEGER PRIMARY KEY,
    name       VARCHAR NOT NULL UNIQUE,
    send_again BOOLEAN NOT NULL,          -- what was not committed comes once more
    accepted   BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,           -- event time, Unix nanoseconds; 0 is none
    last_seen  BIGINT NOT NULL
);

-- Counts by outcome: rejected, skipped, dropped.
CREATE TABLE input_counts (
    input   UINTEGER NOT NULL,
    outcome VARCHAR NOT NULL,
    reason  VARCHAR NOT NULL,
    n       BIGINT NOT NULL
);

CREATE TABLE input_positions (
    input    UINTEGER NOT NULL,
    stream   VARCHAR NOT NULL,
    position BLOB NOT NULL
);

-- What was taken in whole: objects, requests.
CREATE TABLE input_marks (
    input  UINTEGER NOT NULL,
    key    VARCHAR NOT NULL,
    result BLOB NOT NULL,
    time   TIMESTAMP_NS NOT NULL,         -- wall clock, UTC
    PRIMARY KEY (input, key)
);

CREATE TABLE deliveries_closed (
    delivery BIGINT NOT NULL
);
INSERT INTO deliveries_closed VALUES (0);

CREATE TABLE deliveries_committed (
    delivery BIGINT NOT NULL
);

-- Telemetry other than queries.
CREATE TABLE events (
    input    UINTEGER NOT NULL,
    delivery BIGINT NOT NULL,
    received TIMESTAMP_NS NOT NULL,       -- wall clock, UTC
    kind     VARCHAR NOT NULL,
    time     TIMESTAMP_NS,                -- event time, UTC
    name     VARCHAR NOT NULL,            -- DNS name with trailing dot, or ''
    data     JSON NOT NULL
);

CREATE SEQUENCE quarantine_id;

CREATE TABLE quarantine (
    id     BIGINT NOT NULL DEFAULT nextval('quarantine_id'),
    input  UINTEGER NOT NULL,
    stream VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    line   BIGINT NOT NULL,
    byte   BIGINT NOT NULL,
    time   TIMESTAMP_NS NOT NULL,         -- wall clock, UTC
    record BLOB NOT NULL
);
