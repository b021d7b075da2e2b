-- What: why a campaign stands where it stands, line by line: standing, evidence for and against, ordinary causes,
-- members, people's decisions, evidence that could not be seen.
-- Grain: line of the explanation; no line when the ranking does not hold the campaign. Owner: trust-and-safety.
-- Call: FROM explain_campaign('c-1f3a');
CREATE OR REPLACE MACRO explain_campaign(id) AS TABLE
WITH subject AS (
    SELECT * FROM suspect_campaigns AS c WHERE c.campaign_id = id
),
lines AS (
    SELECT
        1 AS part_number, 'standing' AS part, c.rank::DOUBLE AS line_order, 'rank' AS what, c.rank::DOUBLE AS value,
        NULL::DOUBLE AS peer_median, NULL::DOUBLE AS peer_percentile, c.score AS contribution,
        concat(
            'number ', c.rank, ', score ', round(c.score, 2), ', confidence ', c.confidence, ', state ', c.state,
            coalesce(', label ' || c.label, ''), ', ', c.accounts, ' accounts, ', c.requests, ' calls, ',
            c.completion_tokens, ' tokens taken'
        ) AS says
    FROM subject AS c
    UNION ALL
    SELECT
        CASE WHEN r.value IS NULL AND r.contribution = 0 THEN 7 WHEN r.contribution < 0 THEN 3 ELSE 2 END,
        CASE
            WHEN r.value IS NULL AND r.contribution = 0 THEN 'could not be seen'
            WHEN r.contribution < 0 THEN 'argues against'
            ELSE 'was seen'
        END,
        -abs(r.contribution), r.family || '.' || r.reason, r.value, r.peer_median, r.peer_percentile, r.contribution,
        CASE
            WHEN r.value IS NULL THEN concat_ws(': ', reason_in_words(r.reason), 'unavailable')
            ELSE concat_ws(
                ', ', concat_ws(': ', reason_in_words(r.reason), 'seen ') || round(r.value, 3), 'median of peers ' || round(r.peer_median, 3),
                'higher than ' || round(r.peer_percentile, 1) || ' % of peers'
            )
        END
    FROM campaign_reasons AS r JOIN subject AS c ON r.id = c.campaign_id
    UNION ALL
    SELECT
        4, 'ordinary cause', -max(r.contribution), r.family, NULL, NULL, NULL, NULL, r.ordinary_cause
    FROM campaign_reasons AS r JOIN subject AS c ON r.id = c.campaign_id
    WHERE r.contribution > 0
    GROUP BY r.family, r.ordinary_cause
    UNION ALL
    SELECT
        5, 'member', a.rank, m.account_id, m.membership, NULL, NULL, a.score,
        concat('number ', a.rank, ', ', a.requests, ' calls, joined ', m.joined_at)
    FROM campaign_members AS m
    JOIN subject AS c ON m.campaign_id = c.campaign_id
    JOIN suspect_accounts AS a ON a.account_id = m.account_id
    UNION ALL
    SELECT
        6, 'was decided', -epoch(b.at), b.verdict, NULL, NULL, NULL, NULL,
        concat('by ', b.author, ' at ', b.at, coalesce(' until ' || b.until, ''), ': ', b.reason)
    FROM labels AS b JOIN subject AS c ON b.subject_id = c.campaign_id AND b.subject_kind = 'campaign'
)
SELECT part, what, value, peer_median, peer_percentile, contribution, says
FROM lines
ORDER BY part_number, line_order, what;

COMMENT ON MACRO TABLE explain_campaign IS
    'Why a campaign stands where it stands: evidence for and against, ordinary causes, members, decisions.';
