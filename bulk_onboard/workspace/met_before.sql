-- Rows to do whose grower the ledger knows all the same: some were tried in vain, some POSTs have no outcome.
SELECT row, provider, id::VARCHAR AS "leafUserId", lower(hex(rows.fingerprint)) AS fingerprint, rows.app
FROM rows JOIN known USING (provider, id)
WHERE rows.status = ''
ORDER BY row
