-- What was collected when, so that the past can be asked.
CREATE TABLE uptimes (
    started TIMESTAMP_NS PRIMARY KEY,     -- wall clock, UTC
    last    TIMESTAMP_NS NOT NULL
);

-- Sealed queries counted by the minute of event time; written with the segment
-- and kept when it goes. A minute that was sealed in parts has several rows.
CREATE TABLE activity (
    minute         TIMESTAMP_NS NOT NULL,
    input          UINTEGER NOT NULL,     -- 0 is of no input
    server         VARCHAR NOT NULL,      -- address, '' when the telemetry has none
    sensor         VARCHAR NOT NULL,
    zone           VARCHAR NOT NULL,      -- apex with trailing dot, '' in no zone
    n              BIGINT NOT NULL,
    with_client    BIGINT NOT NULL,       -- of these, how many carry what
    with_rcode     BIGINT NOT NULL,
    with_flags     BIGINT NOT NULL,
    with_response  BIGINT NOT NULL,
    with_transport BIGINT NOT NULL
);

-- What became of each input's records, by the minute of wall-clock time.
CREATE TABLE intake_steps (
    minute    TIMESTAMP_NS NOT NULL,
    input     UINTEGER NOT NULL,
    accepted  BIGINT NOT NULL,
    rejected  BIGINT NOT NULL,            -- negative when quarantined records were read after all
    dropped   BIGINT NOT NULL,
    min_delay BIGINT,                     -- nanoseconds; NULL when not measured
    max_delay BIGINT
);

-- The oldest that there was of each kind that is kept, whenever it was another
-- one: what says that something is missing.
CREATE TABLE kept_oldest (
    kind   VARCHAR NOT NULL,
    oldest TIMESTAMP_NS NOT NULL          -- event time, UTC
);

-- Times of the runs of sightings, which are never written again. In Unix seconds, 0 for none.
CREATE TABLE sighting_run_times (
    id    BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last  BIGINT NOT NULL
);

CREATE TABLE setups (
    time  TIMESTAMP_NS NOT NULL,          -- from when, wall clock, UTC
    setup JSON NOT NULL
);

-- What name servers have counted themselves.
CREATE TABLE server_counts (
    start   TIMESTAMP_NS NOT NULL,
    server  VARCHAR NOT NULL,             -- name with trailing dot
    queries BIGINT NOT NULL
);
