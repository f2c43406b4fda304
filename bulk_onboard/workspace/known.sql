-- Load the current states of a provider's growers, as the ledger returns them.
INSERT INTO known BY NAME
SELECT $provider AS provider, id, try_cast(status AS status) AS status,
    coalesce(try_cast(code AS known_code), '') AS code, fingerprint, app, health,
    nullif(health_checked_at, '')::TIMESTAMP_MS AS health_checked_at, credential,
    CASE WHEN credential IS NULL THEN credential_id ELSE '' END AS credential_id
FROM (
    SELECT *, try_cast(credential_id AS UUID) AS uuid,
        CASE WHEN uuid::VARCHAR = credential_id THEN uuid END AS credential  -- in the usual spelling
    FROM growers
)
