-- Passive DNS: what has been seen of names. Recent rows are merged into sorted
-- tables by and by.
CREATE TABLE sightings_recent (
    input    UINTEGER NOT NULL,
    delivery BIGINT NOT NULL,
    name     VARCHAR NOT NULL
);
