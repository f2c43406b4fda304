-- What has changed from $earlier to 'now': kind (worse, recovered, lasting), status, code and number.
-- Rows without a grower are worse only as far as there are more of them than before.
WITH earlier AS (SELECT * FROM attention WHERE moment = $earlier),
present AS (SELECT * FROM attention WHERE moment = 'now')
SELECT CASE WHEN e.id IS NULL THEN 'worse' WHEN p.id IS NULL THEN 'recovered' ELSE 'lasting' END AS kind,
    coalesce(p.status, '') AS status, coalesce(p.code, '') AS code, count(*) AS number
FROM (SELECT * FROM present WHERE id IS NOT NULL) AS p
FULL JOIN (SELECT * FROM earlier WHERE id IS NOT NULL) AS e ON e.provider = p.provider AND e.id = p.id
GROUP BY ALL
UNION ALL
SELECT 'worse', p.status, p.code, p.number - coalesce(e.number, 0)
FROM (SELECT status, code, sum(runs)::BIGINT AS number FROM present WHERE id IS NULL GROUP BY ALL) AS p
LEFT JOIN (SELECT status, code, sum(runs)::BIGINT AS number FROM earlier WHERE id IS NULL GROUP BY ALL) AS e
    ON e.status = p.status AND e.code = p.code
WHERE p.number > coalesce(e.number, 0)
