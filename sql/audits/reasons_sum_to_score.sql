-- Must return no row: the contributions of an account or campaign add up to its score.
SELECT s.account_id AS id, s.score, coalesce(sum(r.contribution), 0) AS total
FROM suspect_accounts AS s LEFT JOIN account_reasons AS r ON r.id = s.account_id
GROUP BY s.account_id, s.score
HAVING abs(s.score - coalesce(sum(r.contribution), 0)) > 1e-6
UNION ALL
SELECT s.campaign_id, s.score, coalesce(sum(r.contribution), 0)
FROM suspect_campaigns AS s LEFT JOIN campaign_reasons AS r ON r.id = s.campaign_id
GROUP BY s.campaign_id, s.score
HAVING abs(s.score - coalesce(sum(r.contribution), 0)) > 1e-6
