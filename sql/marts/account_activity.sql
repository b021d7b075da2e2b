-- What: calls by day of the first 1,000 accounts and of every member of a campaign.
-- Grain: account and day with calls. Owner: trust-and-safety. Audits: none.
SELECT
    s.as_of::TIMESTAMPTZ AS as_of,
    d.account_id::VARCHAR AS account_id,
    d.day::DATE AS day,
    d.requests::BIGINT AS requests
FROM staged_activity AS d
JOIN suspect_accounts AS s ON s.account_id = d.account_id
WHERE s.rank <= 1000 OR s.campaign_id IS NOT NULL
ORDER BY d.account_id, d.day
