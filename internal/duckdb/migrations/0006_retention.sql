-- Segments are of one kind of telemetry each.
ALTER TABLE segments ADD COLUMN kind VARCHAR DEFAULT 'query';

-- Legal holds on ranges of event time. A hold that was released keeps its row.
CREATE TABLE holds (
    id             BIGINT NOT NULL,
    kind           VARCHAR NOT NULL,      -- a kind of retention, or 'all'
    since          TIMESTAMP_NS NOT NULL, -- event time, UTC
    until          TIMESTAMP_NS NOT NULL, -- exclusive
    reason         VARCHAR NOT NULL,
    placed         VARCHAR NOT NULL,      -- RFC 3339, wall clock, UTC
    placed_by      VARCHAR NOT NULL,
    released       VARCHAR NOT NULL,      -- '' while it holds
    released_by    VARCHAR NOT NULL,
    release_reason VARCHAR NOT NULL
);
