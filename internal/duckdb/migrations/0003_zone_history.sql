-- What became of zones.

-- Records of deliveries that are not committed yet.
CREATE TABLE records_staged (
    input    UINTEGER NOT NULL,
    delivery BIGINT NOT NULL,
    zone     VARCHAR NOT NULL,
    name     VARCHAR NOT NULL,
    type     VARCHAR NOT NULL,
    class    VARCHAR NOT NULL,
    ttl      BIGINT NOT NULL,
    data     VARCHAR NOT NULL,
    change   VARCHAR NOT NULL,
    time     TIMESTAMP_NS,
    source   VARCHAR NOT NULL,
    "commit" VARCHAR NOT NULL,
    author   VARCHAR NOT NULL,
    comment  VARCHAR NOT NULL
);
