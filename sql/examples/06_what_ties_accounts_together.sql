-- Question: Which accounts are tied together, and by how much?
-- Answer: pairs by the sum of their links, with the kinds of links; several kinds weigh more than one strong one.
SELECT
    account_a,
    account_b,
    count(DISTINCT kind) AS kinds,
    string_agg(DISTINCT kind, ', ' ORDER BY kind) AS kind_names,
    round(sum(weight), 2) AS weight
FROM account_links
GROUP BY account_a, account_b
ORDER BY kinds DESC, weight DESC, account_a, account_b
LIMIT 50;
