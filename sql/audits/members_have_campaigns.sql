-- Must return no row: members, campaigns and the campaign of an account agree.
SELECT m.campaign_id, m.account_id FROM campaign_members AS m
LEFT JOIN suspect_campaigns AS c USING (campaign_id)
LEFT JOIN suspect_accounts AS a ON a.account_id = m.account_id AND a.campaign_id = m.campaign_id
WHERE c.campaign_id IS NULL OR a.account_id IS NULL
UNION ALL
SELECT a.campaign_id, a.account_id FROM suspect_accounts AS a
ANTI JOIN campaign_members AS m ON m.account_id = a.account_id AND m.campaign_id = a.campaign_id
WHERE a.campaign_id IS NOT NULL
