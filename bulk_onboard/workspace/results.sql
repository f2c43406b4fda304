-- What the ledger recorded in this run for rows of the table `rows`: its entries, column for column.
CREATE TABLE entries (
    row BIGINT NOT NULL,
    status VARCHAR,              -- NULL: an intent without an outcome
    leaf_user_id VARCHAR, fingerprint VARCHAR, code VARCHAR, message VARCHAR, http_status BIGINT, attempts BIGINT,
    credential_id VARCHAR, credential_status VARCHAR, health VARCHAR, event_status BIGINT, event_at VARCHAR,
    intended_at VARCHAR, started_at VARCHAR, finished_at VARCHAR, latency_ms DOUBLE, deleting VARCHAR,
    credential_created VARCHAR, deleting_created VARCHAR, health_checked_at VARCHAR, app BIGINT, unproven BIGINT,
    provider VARCHAR
);

-- What to do about a row with a code.
CREATE TABLE hints (code VARCHAR NOT NULL, hint VARCHAR NOT NULL);

-- The growers that needed attention at some moment: 'last' after the previous run, 'now' after this run, 'own' as
-- this run recorded it when its report was first written, 'notified' when the last message was sent.
-- since: the start of the first run since which it lasts without a break; runs: in how many runs it was met.
-- id NULL: rows without a valid leafUserId, which can only be counted; runs is then their number.
CREATE TABLE attention (
    moment VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    id UUID,
    status VARCHAR NOT NULL,     -- 'unhealthy' for connected growers
    code VARCHAR NOT NULL,
    since VARCHAR NOT NULL,
    runs BIGINT NOT NULL
);

-- One line per row of the input with the columns of results.csv, then the kept columns: kept_0, kept_1, ...
-- An entry of the ledger says more than the row itself, except about what was read from the file.
-- A row that is to do and has no entry was not attempted; an entry without a status is an open intent.
-- cause: the status under which the row needs attention, NULL if it needs none.
-- Variables: began, when the run began; ages_of, the moment that ages count from: 'last', or 'own' for a report
-- that is written again.
CREATE VIEW results AS
WITH merged AS (
    SELECT
        r.*, e.row IS NOT NULL AS has_entry, e.message AS entry_message, e.health AS entry_health,
        e.http_status, e.attempts, e.credential_id AS entry_credential_id, e.credential_status, e.event_status,
        e.event_at, coalesce(nullif(e.started_at, ''), e.intended_at) AS started, e.finished_at, e.latency_ms,
        e.credential_created, e.health_checked_at AS entry_health_checked_at,
        CASE
            WHEN has_entry THEN coalesce(nullif(e.status, ''), 'unresolved')
            WHEN r.status = '' THEN 'not_attempted'
            ELSE r.status::VARCHAR END AS final_status,
        CASE
            WHEN has_entry AND coalesce(e.status, '') = '' THEN 'open-intent'
            WHEN has_entry THEN e.code
            ELSE r.code END AS known_code,
        CASE WHEN final_status = 'not_attempted' AND known_code = '' THEN 'not-attempted'
            ELSE known_code END AS final_code,
        coalesce(e.health, r.health::VARCHAR) AS final_health,
        CASE WHEN NOT r.unresolved THEN r.id END AS known_id,
        CASE
            WHEN final_status IN ('created', 'existing') AND final_health = 'unhealthy' THEN 'unhealthy'
            WHEN final_status IN ('invalid', 'rejected', 'failed', 'unresolved', 'no_such_user') THEN final_status
            WHEN final_status IN ('created', 'existing') AND final_code IN ('environment-changed', 'app-changed')
                THEN final_status END AS cause
    FROM rows AS r LEFT JOIN entries AS e ON e.row = r.row
)
SELECT
    m.row AS row,
    CASE WHEN m.leaf_user_id != '' THEN m.leaf_user_id ELSE coalesce(known_id::VARCHAR, '') END AS "leafUserId",
    m.provider::VARCHAR AS provider,
    final_status AS status,
    final_health AS health,
    final_code AS code,
    coalesce(entry_message, m.message) AS message,
    coalesce(hints.hint, '') AS hint,
    http_status AS "httpStatus",
    coalesce(attempts, 0) AS attempts,
    coalesce(entry_credential_id, m.credential::VARCHAR, m.credential_id) AS "credentialId",
    coalesce(credential_status, '') AS "credentialStatus",
    event_status AS "eventStatusCode",
    coalesce(event_at, '') AS "eventAt",
    coalesce(started, '') AS "startedAt",
    coalesce(finished_at, '') AS "finishedAt",
    round_even(latency_ms, 1) AS "latencyMs",  -- more digits would only be noise
    coalesce(replace(m.fingerprint::VARCHAR, '-', ''), '') AS fingerprint,
    CASE WHEN cause IS NULL OR known_id IS NULL THEN ''
        ELSE coalesce(attention.since, getvariable('began')) END AS "failingSince",
    CASE WHEN cause IS NOT NULL AND known_id IS NOT NULL
        THEN coalesce(attention.runs + (getvariable('ages_of') = 'last')::INTEGER, 1) END AS "failedRuns",
    coalesce(entry_health_checked_at, time_text(m.health_checked_at)) AS "healthCheckedAt",
    m.* EXCLUDE (
        row, provider, id, unresolved, leaf_user_id, fingerprint, content, app, status, code, message, health,
        health_checked_at, credential, credential_id, has_entry, entry_message, entry_health, http_status, attempts,
        entry_credential_id, credential_status, event_status, event_at, started, finished_at, latency_ms,
        credential_created, entry_health_checked_at, final_status, known_code, final_code, final_health, known_id,
        cause
    ),
    known_id AS id,
    CASE WHEN NOT has_entry THEN m.credential END AS credential,
    cause,
    coalesce(credential_created, '') AS credential_created
FROM merged AS m
LEFT JOIN attention
    ON attention.moment = getvariable('ages_of') AND attention.provider = m.provider AND attention.id = m.known_id
LEFT JOIN hints ON hints.code = m.final_code;
