-- Rows that were connected before this run, from $first to $last: those whose last check was not good, or was
-- before $due ('' for no such time). NULL as $due: all of them. Not those of another application, which are not
-- as the file asks, nor those that a plan leaves out.
SELECT row, provider, id::VARCHAR, coalesce(replace(fingerprint::VARCHAR, '-', ''), ''), code, message,
    health, time_text(health_checked_at), coalesce(credential::VARCHAR, credential_id), app
FROM rows
WHERE row BETWEEN $first AND $last AND status = 'existing' AND id IS NOT NULL
    AND code NOT IN ('app-changed', 'environment-changed', 'not-in-plan')
    AND ($due::VARCHAR IS NULL OR health != 'healthy' OR health_checked_at < nullif($due, '')::TIMESTAMP_MS)
ORDER BY row
