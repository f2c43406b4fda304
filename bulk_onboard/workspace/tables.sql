-- One line per row of the input. status = '' is a row that is still to do; every other row has its final status
-- unless the run records something else for it (table entries).
-- id: the grower's UUID, NULL if the row has none; leaf_user_id: what may be shown of the cell then.
-- fingerprint: of the grower's secrets; content: of every provider field, NULL where that is the same thing;
-- app: of the application's fields. health_checked_at: when the health of a known grower was checked.
CREATE TABLE rows (
    row BIGINT NOT NULL,
    provider VARCHAR NOT NULL,
    id UUID,
    leaf_user_id VARCHAR NOT NULL DEFAULT '',
    fingerprint BLOB,
    content BLOB,
    app BIGINT NOT NULL DEFAULT 0,
    status VARCHAR NOT NULL DEFAULT '',
    code VARCHAR NOT NULL DEFAULT '',
    message VARCHAR NOT NULL DEFAULT '',
    health VARCHAR NOT NULL DEFAULT '',
    health_checked_at VARCHAR NOT NULL DEFAULT '',
    credential_id VARCHAR NOT NULL DEFAULT ''
);

-- What the ledger knows of the growers: the current state of each.
CREATE TABLE known (
    provider VARCHAR NOT NULL,
    id UUID NOT NULL,
    status VARCHAR,              -- NULL: an intent without an outcome
    code VARCHAR NOT NULL,
    fingerprint BLOB,            -- NULL: it is not known which secrets Leaf holds
    app BIGINT NOT NULL,         -- 0: it is not known which application they were stored with
    health VARCHAR NOT NULL,
    health_checked_at VARCHAR NOT NULL,
    credential_id VARCHAR NOT NULL
);
