-- Rows whose token an earlier run onboarded for another grower, and not for the row's own.
WITH new_tokens AS (
    SELECT rows.row, rows.provider, rows.id, rows.fingerprint
    FROM rows LEFT JOIN known USING (provider, id)
    WHERE (rows.status = '' OR rows.code = 'token-changed') AND known.fingerprint IS DISTINCT FROM rows.fingerprint
)
SELECT row FROM new_tokens AS new
WHERE EXISTS (
    SELECT 1 FROM known
    WHERE known.provider = new.provider AND known.fingerprint = new.fingerprint AND known.id != new.id
)
ORDER BY row
