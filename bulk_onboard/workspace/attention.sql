-- The growers that need attention after the run, and the number of rows without a grower that do.
-- Growers that were in no row of this input stay as they were; one bad row of a grower outweighs its good ones.
INSERT INTO attention
SELECT 'now', provider, id, arg_min(cause, row), arg_min(code, row), arg_min("failingSince", row),
    arg_min("failedRuns", row)
FROM results WHERE cause IS NOT NULL AND id IS NOT NULL GROUP BY provider, id
UNION ALL
SELECT 'now', provider, NULL, cause, code, '', count(*)
FROM results WHERE cause IS NOT NULL AND id IS NULL GROUP BY provider, cause, code
UNION ALL
SELECT 'now', provider, id, status, code, since, runs
FROM attention AS earlier
WHERE moment = getvariable('ages_of') AND id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM results
    WHERE results.provider = earlier.provider AND results.id = earlier.id
        AND (cause IS NOT NULL OR results.status IN ('created', 'existing'))
);
