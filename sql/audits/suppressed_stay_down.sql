-- Must return no row: nothing that a person found innocent stands above what nobody did.
SELECT 'account' AS kind, s.account_id AS id, s.rank FROM suspect_accounts AS s
WHERE s.state = 'suppressed' AND s.rank < (SELECT max(o.rank) FROM suspect_accounts AS o WHERE o.state <> 'suppressed')
UNION ALL
SELECT 'campaign', s.campaign_id, s.rank FROM suspect_campaigns AS s
WHERE s.state = 'suppressed' AND s.rank < (SELECT max(o.rank) FROM suspect_campaigns AS o WHERE o.state <> 'suppressed')
