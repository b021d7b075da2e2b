-- What: the first k accounts of the ranking, with the strongest reason of each.
-- Grain: account. Owner: trust-and-safety.
-- Call: FROM top_suspects(20);
CREATE OR REPLACE MACRO top_suspects(k) AS TABLE
SELECT
    a.rank,
    a.account_id,
    a.score,
    a.p_value,
    a.campaign_id,
    a.requests,
    a.first_seen,
    a.last_seen,
    a.confidence,
    a.state,
    a.label,
    a.reasons[1] AS strongest_reason
FROM suspect_accounts AS a
WHERE a.rank <= k
ORDER BY a.rank;

COMMENT ON MACRO TABLE top_suspects IS 'The first k accounts of the ranking, with the strongest reason of each.';
