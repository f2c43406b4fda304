-- Rows to do whose grower the ledger knows as connected: row, code, and what the ledger says of the credentials.
-- A row that is not listed stays to do. $redo: --if-exists replaces or overwrites what differs; $refuse: 'fail'.
-- Leaf showed another application, and which one is not known, where the ledger's code says so: it is asked again.
WITH met AS (
    SELECT rows.row, rows.app AS own_app, known.code AS known_code, known.app, known.health,
        known.health_checked_at, known.credential_id,
        known.code = 'token-changed' AND known.status = 'existing' AS is_changed,
        known.fingerprint IS NULL AS is_unknown,
        known.fingerprint IS DISTINCT FROM rows.fingerprint AS differs,
        known.app != 0 AND known.app != rows.app AS other_app,
        xor(known.app, rows.app) & 4294967295 != 0 AS other_environment  -- the low half is the environment's
    FROM rows JOIN known USING (provider, id)
    WHERE rows.status = '' AND known.status IN ('created', 'existing')
        AND known.code NOT IN ('app-changed', 'environment-changed')
),
judged AS (
    SELECT *, CASE
        WHEN other_app AND other_environment THEN 'environment-changed'
        WHEN other_app THEN 'app-changed'
        WHEN is_unknown AND NOT is_changed AND known_code != 'credentials-gone' THEN 'already-connected'
        WHEN is_changed OR differs THEN 'token-changed'
        ELSE 'already-onboarded' END AS code
    FROM met
)
SELECT row, 'existing' AS status, code,
    CASE WHEN other_app THEN own_app ELSE app END AS app,
    CASE WHEN other_app THEN '' ELSE health END AS health,
    CASE WHEN other_app THEN '' ELSE health_checked_at END AS health_checked_at,
    CASE WHEN other_app THEN '' ELSE credential_id END AS credential_id
FROM judged
WHERE CASE
    WHEN $redo THEN code = 'already-onboarded' AND known_code != 'credentials-gone'
    WHEN $refuse THEN code IN ('already-onboarded', 'already-connected')
    ELSE TRUE END
