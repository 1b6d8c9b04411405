-- Segments are of one kind of telemetry each.
ALTER TABLE segments ADD COLUMN kind VARCHAR DEFAULT 'query';
