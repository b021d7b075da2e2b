-- What: who belongs to a campaign, and how firmly.
-- Grain: campaign and account. Owner: trust-and-safety. Audits: members_have_campaigns.
SELECT
    a.as_of::TIMESTAMPTZ AS as_of,
    m.campaign_id::VARCHAR AS campaign_id,
    m.account_id::VARCHAR AS account_id,
    m.membership::DOUBLE AS membership,
    a.first_seen::TIMESTAMPTZ AS joined_at
FROM staged_members AS m
JOIN suspect_accounts AS a USING (account_id)
ORDER BY m.campaign_id, m.membership DESC, m.account_id
