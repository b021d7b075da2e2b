-- Question: Which evidence carries the first hundred accounts, and would one family alone have done it?
-- Answer: by family, how many of them it speaks for and what it adds on average.
SELECT
    r.family,
    count(DISTINCT r.id) FILTER (r.contribution > 0) AS accounts_it_speaks_for,
    (SELECT count(*) FROM suspect_accounts WHERE rank <= 100)
        - count(DISTINCT r.id) FILTER (r.value IS NOT NULL) AS accounts_without_the_data,
    round(sum(r.contribution) / count(DISTINCT r.id), 2) AS adds_on_average
FROM account_reasons AS r
JOIN suspect_accounts AS a ON a.account_id = r.id
WHERE a.rank <= 100
GROUP BY r.family
ORDER BY adds_on_average DESC, r.family;
