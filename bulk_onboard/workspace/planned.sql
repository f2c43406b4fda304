-- What a plan says of each row to do: row, what, and the credentials that it replaces. Rows are told apart by
-- provider and grower, and must have the secrets that they had when the plan was made.
SELECT to_do.row,
    CASE
        WHEN plan.action IN ('would_create', 'would_replace') AND plan.fingerprint != to_do.fingerprint THEN 'changed'
        ELSE coalesce(plan.action, 'not-in-plan') END AS says,
    coalesce(plan.credential_id, '') AS credential_id,
    coalesce(plan.credential_created, '') AS credential_created
FROM to_do LEFT JOIN plan USING (provider, id)
ORDER BY to_do.row
