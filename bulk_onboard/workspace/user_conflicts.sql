-- Outcomes of the rows without a leafUserId that contradict other rows about their Leaf user.
-- One externalId goes with one email and the other way round, and the key of a row with a leafUserId is not the key
-- of an unresolved one. Anything else would be a guess, which makes two users of one grower or one of two.
-- A blank email contradicts nothing; a blank externalId contradicts a filled one.
INSERT INTO outcomes (row, status, code, message)
WITH keys AS (
    SELECT row, unresolved, external, email FROM rows JOIN user_keys USING (row)
    WHERE fingerprint IS NOT NULL OR leaf_user_id != ''  -- an invalid row without a leafUserId does not count
        OR (id IS NOT NULL AND NOT unresolved)
),
keyed AS (
    SELECT row, unresolved, 'externalId' AS kind, 'email' AS other_kind, external AS key, email AS other
    FROM keys WHERE external IS NOT NULL
    UNION ALL
    SELECT row, unresolved, 'email', 'externalId', email, coalesce(external, ''::BLOB)
    FROM keys WHERE email IS NOT NULL
),
-- Few keys are of unresolved rows, and almost all of these occur once: the details are computed for the others only.
repeated AS MATERIALIZED (
    SELECT kind, key FROM keyed
    SEMI JOIN (SELECT kind, key FROM keyed WHERE unresolved) AS of_unresolved USING (kind, key)
    GROUP BY kind, key HAVING count(*) > 1
),
groups AS (
    SELECT kind, key, min(row, 6) AS first_rows, count(*) AS number,
        min(row, 5) FILTER (NOT unresolved) AS identified_rows, count(*) FILTER (NOT unresolved) AS identified
    FROM keyed JOIN repeated USING (kind, key) GROUP BY kind, key
    HAVING identified > 0 OR count(DISTINCT other) > 1
)
SELECT row, 'invalid', 'conflicting-users', 'the same ' || kind || CASE
    WHEN identified > 0 THEN ' comes with a leafUserId in ' || name_rows(identified_rows, identified)
    ELSE ' has another ' || other_kind || ' in '
        || name_rows(list_filter(first_rows, lambda other: other != row)[:5], number - 1) END AS message
FROM keyed JOIN groups USING (kind, key) SEMI JOIN to_do USING (row)
WHERE unresolved
QUALIFY row_number() OVER (PARTITION BY row ORDER BY kind) = 1
