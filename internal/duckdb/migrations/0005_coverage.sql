-- What was collected when, so that the past can be asked.
CREATE TABLE uptimes (
    started TIMESTAMP_NS PRIMARY KEY,     -- wall clock, UTC
    last    TIMESTAMP_NS NOT NULL
);
