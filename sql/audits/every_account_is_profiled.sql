-- Must return no row: every ranked account has a profile, and the other way round.
SELECT s.account_id FROM suspect_accounts AS s ANTI JOIN account_profiles AS p USING (account_id)
UNION ALL
SELECT p.account_id FROM account_profiles AS p ANTI JOIN suspect_accounts AS s USING (account_id)
