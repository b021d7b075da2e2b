-- Question: Which campaigns grow, and is their load spread too evenly for people?
-- Answer: growth, and the coefficient of variation of the members' calls per active day (people: about 1 and more,
-- a load balancer: near 0).
SELECT
    c.campaign_id,
    c.accounts,
    c.requests,
    round(c.growth_7d, 2) AS growth_7d,
    round(stddev_samp(p.requests_per_active_day) / avg(p.requests_per_active_day), 2) AS load_variation
FROM suspect_campaigns AS c
JOIN campaign_members AS m USING (campaign_id)
JOIN account_profiles AS p USING (account_id)
GROUP BY ALL
ORDER BY growth_7d DESC NULLS LAST, c.campaign_id;
