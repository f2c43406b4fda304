-- Every row with its final status, unless the run records something else for it; status = '' is a row that is to do.
CREATE OR REPLACE VIEW rows AS
SELECT input_rows.*, coalesce(status, '') AS status, coalesce(code, '') AS code, coalesce(message, '') AS message,
    coalesce(leaf_user_id, '') AS leaf_user_id, ''::health AS health, NULL::TIMESTAMP_MS AS health_checked_at,
    NULL::UUID AS credential, '' AS credential_id
FROM input_rows LEFT JOIN outcomes USING (row)
UNION ALL BY NAME
SELECT * REPLACE (code::VARCHAR AS code), 'existing'::status AS status, '' AS message, '' AS leaf_user_id FROM done;

-- The rows that are to do.
CREATE OR REPLACE VIEW to_do AS FROM input_rows ANTI JOIN outcomes USING (row);
