-- Passive DNS: what has been seen of names. Recent rows are merged into sorted
-- tables, the runs, by and by.

-- Who saw it. Even ids are of passive DNS, odd ones of certificates.
CREATE TABLE sighting_sources (
    id        UINTEGER NOT NULL,
    channel   VARCHAR NOT NULL,
    origin    VARCHAR NOT NULL,
    sensor    VARCHAR NOT NULL,
    sensor_id VARCHAR NOT NULL
);

-- Rows as they came. Times are Unix seconds, 0 when not known.
CREATE TABLE sightings_recent (
    key        UBIGINT NOT NULL,
    data_key   UBIGINT NOT NULL,
    source     UINTEGER NOT NULL,
    name       VARCHAR NOT NULL,
    type       VARCHAR NOT NULL,
    data       VARCHAR NOT NULL,
    bailiwick  VARCHAR,
    detail     VARCHAR,
    first      BIGINT NOT NULL,
    last       BIGINT NOT NULL,
    zone_first BIGINT NOT NULL,
    zone_last  BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    input      UINTEGER NOT NULL,
    delivery   BIGINT NOT NULL,
    batch      BIGINT NOT NULL -- grows with every append
);

-- The runs that count. The table of run N is sightings_run_N, sorted by key;
-- sightings_data_N has data_key and key of its rows, sorted by data_key.
CREATE TABLE sighting_runs (
    id        BIGINT NOT NULL,
    row_count BIGINT NOT NULL
);
CREATE SEQUENCE sighting_run_id;
