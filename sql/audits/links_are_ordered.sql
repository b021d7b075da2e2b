-- Must return no row: a link is kept once, the smaller id first.
SELECT account_a, account_b, kind FROM account_links WHERE account_a >= account_b
UNION ALL
SELECT account_a, account_b, kind FROM account_links GROUP BY ALL HAVING count(*) > 1
