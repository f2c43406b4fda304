-- What a plan says of each row to do: row, what, and the credentials that it replaces. Rows are told apart by
-- provider and grower, and must have the secrets that they had when the plan was made.
SELECT rows.row,
    CASE
        WHEN plan.action IN ('would_create', 'would_replace') AND plan.fingerprint != rows.fingerprint THEN 'changed'
        ELSE coalesce(plan.action, 'not-in-plan') END AS says,
    coalesce(plan.credential_id, '') AS credential_id,
    coalesce(plan.credential_created, '') AS credential_created
FROM rows LEFT JOIN plan USING (provider, id)
WHERE rows.status = ''
ORDER BY rows.row
