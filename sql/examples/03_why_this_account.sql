-- Question: Why is this account suspect, and what argues against it?
-- Answer: the explanation line by line. Put an account_id in place of the subquery, which takes the first of the ranking.
SELECT part, what, says, round(contribution, 2) AS adds
FROM explain_account((SELECT account_id FROM suspect_accounts WHERE rank = 1));
