-- Every row with its final status, unless the run records something else for it; status = '' is a row that is to do.
CREATE OR REPLACE VIEW rows AS
SELECT input_rows.*, coalesce(status, '') AS status, coalesce(code, '') AS code, coalesce(message, '') AS message,
    '' AS health, '' AS health_checked_at, '' AS credential_id
FROM input_rows LEFT JOIN outcomes USING (row)
UNION ALL BY NAME FROM done;

-- The rows that are to do.
CREATE OR REPLACE VIEW to_do AS FROM input_rows ANTI JOIN outcomes USING (row);
