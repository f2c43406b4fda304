-- Rows to do whose grower the ledger knows all the same: some were tried in vain, some POSTs have no outcome.
SELECT row, provider, id::VARCHAR AS "leafUserId",
    replace(to_do.fingerprint::VARCHAR, '-', '') AS fingerprint, to_do.app
FROM to_do JOIN known USING (provider, id)
ORDER BY row
