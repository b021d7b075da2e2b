-- Question: Who is suspect alone, without a group?
-- Answer: the first accounts outside every campaign, with how broad and how heavy they are.
SELECT
    a.rank, a.account_id, round(a.score, 1) AS score, a.requests,
    p.cells_distinct, round(p.divergence_nats, 2) AS divergence_nats, round(p.first_turn_share, 2) AS first_turn_share,
    a.reasons
FROM suspect_accounts AS a
JOIN account_profiles AS p USING (account_id)
WHERE a.campaign_id IS NULL
ORDER BY a.rank
LIMIT 20;
