-- Types: provider_name, status and health are lists of the names that there are ('' for none), see workspace.py.
-- A column of such a type takes a byte, and one of a text sixteen and more.
-- The codes that tell connected growers apart: in the ledger's states, and of rows that an earlier run has done.
CREATE TYPE known_code AS ENUM ('', 'token-changed', 'credentials-gone', 'app-changed', 'environment-changed');
CREATE TYPE done_code AS ENUM (
    'already-onboarded', 'already-connected', 'token-changed', 'app-changed', 'environment-changed'
);

-- One line per row of the input that an earlier run has not done.
-- id: the grower's UUID, NULL if the row has none.
-- fingerprint: of the grower's secrets; content: of every provider field, NULL where that is the same thing;
-- app: the mark of the application's fields. fingerprint is NULL exactly for the rows in which the check found a problem.
-- unresolved: the row has no leafUserId but an externalId or an email, and its Leaf user is not known yet;
-- id is then a stand-in that is the same for all rows of the grower, and must never be sent.
-- The kept columns follow: kept_0, kept_1, ...
CREATE TABLE input_rows (
    row BIGINT NOT NULL,
    provider provider_name NOT NULL,
    id UUID,
    unresolved BOOLEAN NOT NULL DEFAULT FALSE,
    fingerprint UUID,
    content UUID,
    app BIGINT NOT NULL DEFAULT 0
);

-- The final status of each of these rows that has one; the others are to do.
-- leaf_user_id: what may be shown of a cell that is not a UUID.
CREATE TABLE outcomes (
    row BIGINT NOT NULL,
    status status NOT NULL,
    code VARCHAR NOT NULL DEFAULT '',
    message VARCHAR NOT NULL DEFAULT '',
    leaf_user_id VARCHAR NOT NULL DEFAULT ''
);

-- The rows that an earlier run has done, with what the ledger knows of them: app and health_checked_at too.
-- The comparison with the ledger moves them here, in the order of the input. They have the kept columns as well.
CREATE TABLE done AS
SELECT *, NULL::done_code AS code, NULL::health AS health, NULL::TIMESTAMP_MS AS health_checked_at,
    NULL::UUID AS credential, '' AS credential_id
FROM input_rows;

-- What the ledger knows of the growers: the current state of each.
CREATE TABLE known (
    provider provider_name NOT NULL,
    id UUID NOT NULL,
    status status,               -- NULL: an intent without an outcome, or one of a rollback
    code known_code NOT NULL,    -- '' for any other
    fingerprint UUID,            -- NULL: it is not known which secrets Leaf holds
    app BIGINT NOT NULL,         -- 0: it is not known which application they were stored with
    health health NOT NULL,
    health_checked_at TIMESTAMP_MS,
    credential UUID,             -- the id of the credentials, which Leaf makes a UUID
    credential_id VARCHAR NOT NULL  -- an id that is not one
);

-- What a plan says of growers.
CREATE TABLE plan (
    provider provider_name NOT NULL,
    id UUID NOT NULL,
    action VARCHAR NOT NULL,
    fingerprint UUID NOT NULL,
    credential_id VARCHAR NOT NULL,
    credential_created VARCHAR NOT NULL
);

-- Keyed fingerprints of the externalId and the email of each row, NULL for none. Only of files with such columns.
CREATE TABLE user_keys (row BIGINT NOT NULL, external BLOB, email BLOB);

-- "row 3", "rows 3, 4" or "rows 3, 4 and 7 more": the listed rows, of a total.
CREATE MACRO name_rows(listed, total) AS
    CASE WHEN total = 1 THEN 'row ' ELSE 'rows ' END || array_to_string(listed, ', ')
    || CASE WHEN total > len(listed) THEN ' and ' || (total - len(listed)) || ' more' ELSE '' END;

-- A time as the ledger and the reports write it.
CREATE MACRO time_text(t) AS coalesce(strftime(t, '%Y-%m-%dT%H:%M:%S.%gZ'), '');
