-- Must return no row: ranks run from 1 without gaps, accounts and campaigns.
SELECT 'account' AS kind, rank FROM (SELECT rank, row_number() OVER (ORDER BY rank) AS place FROM suspect_accounts) WHERE rank <> place
UNION ALL
SELECT 'campaign', rank FROM (SELECT rank, row_number() OVER (ORDER BY rank) AS place FROM suspect_campaigns) WHERE rank <> place
