-- Question: Who belongs to the first campaign, how firmly, and what has each member taken?
-- Answer: members by the share of the campaign's calls that they made.
SELECT
    m.account_id,
    round(m.membership, 2) AS membership,
    m.joined_at,
    p.requests,
    p.completion_tokens,
    round(100 * p.requests / sum(p.requests) OVER (), 1) AS percent_of_calls
FROM campaign_members AS m
JOIN account_profiles AS p USING (account_id)
WHERE m.campaign_id = (SELECT campaign_id FROM suspect_campaigns WHERE rank = 1)
ORDER BY p.requests DESC, m.account_id;
