-- Outcomes of the rows to do that repeat or contradict other rows of the same provider.
-- The gravest finding of a row counts: conflicting-rows, then shared-token, then duplicate.
-- They are compared with all rows that passed the check, also with those that have an outcome by now.
-- Almost every grower and every token occurs once, so the details are computed for the others only, if there are any.
CREATE OR REPLACE TEMP TABLE repeated_growers AS
SELECT provider, id FROM rows WHERE fingerprint IS NOT NULL AND id IS NOT NULL
GROUP BY provider, id HAVING count(*) > 1;
CREATE OR REPLACE TEMP TABLE repeated_tokens AS
SELECT provider, fingerprint FROM rows WHERE NOT $allow_shared_tokens AND fingerprint IS NOT NULL AND id IS NOT NULL
GROUP BY provider, fingerprint HAVING count(*) > 1;
INSERT INTO outcomes (row, status, code, message)
WITH valid AS (
    SELECT row, provider, id, fingerprint, coalesce(content, fingerprint) AS content
    FROM rows WHERE fingerprint IS NOT NULL AND id IS NOT NULL
),
same_grower AS (
    SELECT provider, id, min(row, 6) AS first_rows, count(*) AS number, count(DISTINCT content) AS contents
    FROM valid JOIN repeated_growers USING (provider, id) GROUP BY provider, id
),
same_token AS (
    SELECT provider, fingerprint, min(row, 6) AS first_rows, count(*) AS number
    FROM valid JOIN repeated_tokens USING (provider, fingerprint)
    GROUP BY provider, fingerprint HAVING count(DISTINCT id) > 1
),
repeats AS (
    SELECT row, 1 AS rank, 'invalid' AS status, 'conflicting-rows' AS code, first_rows, number
    FROM valid JOIN same_grower USING (provider, id) WHERE contents > 1
    UNION ALL
    SELECT row, 2, 'invalid', 'shared-token', first_rows, number
    FROM valid JOIN same_token USING (provider, fingerprint)
    UNION ALL
    SELECT row, 3, 'duplicate', 'duplicate', first_rows, number
    FROM valid JOIN same_grower USING (provider, id) WHERE contents = 1 AND row > first_rows[1]
),
gravest AS (
    SELECT *, list_filter(first_rows, lambda other: other != row)[:5] AS others
    FROM repeats SEMI JOIN to_do USING (row) QUALIFY row_number() OVER (PARTITION BY row ORDER BY rank) = 1
),
named AS (
    SELECT row, status, code, first_rows, name_rows(others, number - 1) AS others FROM gravest
)
SELECT row, status, code, CASE code
    WHEN 'conflicting-rows' THEN 'the same grower has different credentials in ' || others
    WHEN 'shared-token' THEN 'another grower has the same token in ' || others
    ELSE 'repeats row ' || first_rows[1] END AS message
FROM named
