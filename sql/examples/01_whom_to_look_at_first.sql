-- Question: Whom do I look at first this morning?
-- Answer: accounts high in the ranking on which nobody has decided yet, with the strongest reason of each.
SELECT rank, account_id, round(score, 1) AS score, campaign_id, requests, confidence, strongest_reason
FROM top_suspects(100)
WHERE label IS NULL AND confidence IN ('high', 'medium')
ORDER BY rank
LIMIT 20;
