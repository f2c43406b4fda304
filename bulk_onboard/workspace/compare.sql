-- Move the rows to do whose grower the ledger knows as connected to those that are done, with what it says of the
-- credentials. Other rows stay to do. $redo: --if-exists replaces or overwrites what differs; $refuse: 'fail'.
-- Leaf showed another application, and which one is not known, where the ledger's code says so: it is asked again.
INSERT INTO done BY NAME
WITH met AS (
    SELECT to_do.*, known.code AS known_code, known.app AS known_app, known.health, known.health_checked_at,
        known.credential, known.credential_id,
        known.code = 'token-changed' AND known.status = 'existing' AS is_changed,
        known.fingerprint IS NULL AS is_unknown,
        known.fingerprint IS DISTINCT FROM to_do.fingerprint AS differs,
        known.app != 0 AND known.app != to_do.app AS other_app,
        xor(known.app, to_do.app) & 4294967295 != 0 AS other_environment  -- the low half is the environment's
    FROM to_do JOIN known USING (provider, id)
    WHERE known.status IN ('created', 'existing') AND known.code NOT IN ('app-changed', 'environment-changed')
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
SELECT * EXCLUDE (known_code, known_app, is_changed, is_unknown, differs, other_app, other_environment) REPLACE (
    CASE WHEN other_app THEN app ELSE known_app END AS app,
    CASE WHEN other_app THEN ''::health ELSE health END AS health,
    CASE WHEN NOT other_app THEN health_checked_at END AS health_checked_at,
    CASE WHEN NOT other_app THEN credential END AS credential,
    CASE WHEN other_app THEN '' ELSE credential_id END AS credential_id
)
FROM judged
WHERE CASE
    WHEN $redo THEN code = 'already-onboarded' AND known_code != 'credentials-gone'
    WHEN $refuse THEN code IN ('already-onboarded', 'already-connected')
    ELSE TRUE END
ORDER BY row;
CREATE TABLE others AS FROM input_rows ANTI JOIN done USING (row);
DROP TABLE input_rows;
ALTER TABLE others RENAME TO input_rows
