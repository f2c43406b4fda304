-- Rows whose token an earlier run onboarded for another grower, and not for the row's own.
WITH candidates AS (
    SELECT row, provider, id, fingerprint FROM to_do
    UNION ALL
    SELECT row, provider, id, fingerprint FROM rows WHERE code = 'token-changed'
),
new_tokens AS (
    SELECT candidates.* FROM candidates LEFT JOIN known USING (provider, id)
    WHERE known.fingerprint IS DISTINCT FROM candidates.fingerprint
)
SELECT row FROM new_tokens AS new
WHERE EXISTS (
    SELECT 1 FROM known
    WHERE known.provider = new.provider AND known.fingerprint = new.fingerprint AND known.id != new.id
)
ORDER BY row
