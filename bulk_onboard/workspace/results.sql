-- One line per row of the input, with the columns of results.csv; the kept columns follow as kept_0, kept_1, ...
-- An entry of the ledger says more than the row itself, except about what was read from the file.
-- A row that is to do and has no entry was not attempted; an entry without a status is an open intent.
CREATE OR REPLACE VIEW results AS
WITH judged AS (
    SELECT rows.*, entries.*,
        CASE
            WHEN entries.entry_row IS NOT NULL THEN coalesce(entries.entry_status, 'unresolved')
            WHEN rows.code != '' AND rows.status = '' THEN 'invalid'
            WHEN rows.status = '' THEN 'not_attempted'
            ELSE rows.status
        END AS final_status,
        CASE
            WHEN entries.entry_row IS NULL THEN rows.code
            WHEN entries.entry_status IS NULL THEN 'open-intent'
            ELSE entries.entry_code
        END AS entry_or_row_code
    FROM rows LEFT JOIN entries ON entries.entry_row = rows.row
),
coded AS (
    SELECT *, CASE
        WHEN final_status = 'not_attempted' AND entry_or_row_code = '' THEN 'not-attempted'
        ELSE entry_or_row_code END AS final_code
    FROM judged
)
SELECT
    coded.row AS row,
    CASE WHEN coded.unresolved THEN '' ELSE coalesce(coded.id::VARCHAR, coded.leaf_user_id) END AS "leafUserId",
    coded.provider AS provider,
    final_status AS status,
    coalesce(entry_health, coded.health) AS health,
    final_code AS code,
    coalesce(entry_message, coded.message) AS message,
    coalesce(hints.hint, '') AS hint,
    http_status AS "httpStatus",
    coalesce(attempts, 0) AS attempts,
    coalesce(entry_credential_id, coded.credential_id) AS "credentialId",
    coalesce(credential_status, '') AS "credentialStatus",
    event_status AS "eventStatusCode",
    coalesce(event_at, '') AS "eventAt",
    coalesce(nullif(started_at, ''), intended_at, '') AS "startedAt",
    coalesce(finished_at, '') AS "finishedAt",
    round(latency_ms, 1) AS "latencyMs",
    coalesce(lower(hex(coded.fingerprint)), '') AS fingerprint,
    coalesce(attention.since, '') AS "failingSince",
    attention.runs AS "failedRuns",
    coalesce(entry_health_checked_at, coded.health_checked_at) AS "healthCheckedAt"
FROM coded
LEFT JOIN attention ON attention.provider = coded.provider AND attention.id = coded.id
LEFT JOIN hints ON hints.code = final_code
