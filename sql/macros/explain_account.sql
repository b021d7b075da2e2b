-- What: why an account stands where it stands, line by line: standing, evidence for and against with what peers
-- do, ordinary causes, links, people's decisions, evidence that could not be seen.
-- Grain: line of the explanation; no line when the ranking does not hold the account. Owner: trust-and-safety.
-- Call: FROM explain_account('acct-0042');
CREATE OR REPLACE MACRO explain_account(id) AS TABLE
WITH subject AS (
    SELECT * FROM suspect_accounts AS a WHERE a.account_id = id
),
lines AS (
    SELECT
        1 AS part_number, 'standing' AS part, a.rank::DOUBLE AS line_order, 'rank' AS what, a.rank::DOUBLE AS value,
        NULL::DOUBLE AS peer_median, NULL::DOUBLE AS peer_percentile, a.score AS contribution,
        concat(
            'number ', a.rank, ', score ', round(a.score, 2), ', confidence ', a.confidence, ', state ', a.state,
            coalesce(', label ' || a.label, ''), coalesce(', campaign ' || a.campaign_id, ''), ', ', a.requests, ' calls'
        ) AS says
    FROM subject AS a
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
    FROM account_reasons AS r JOIN subject AS a ON r.id = a.account_id
    UNION ALL
    SELECT
        4, 'ordinary cause', -max(r.contribution), r.family, NULL, NULL, NULL, NULL, r.ordinary_cause
    FROM account_reasons AS r JOIN subject AS a ON r.id = a.account_id
    WHERE r.contribution > 0
    GROUP BY r.family, r.ordinary_cause
    UNION ALL
    SELECT
        5, 'linked to', -l.weight, CASE WHEN l.account_a = a.account_id THEN l.account_b ELSE l.account_a END,
        l.weight, NULL, NULL, NULL, l.kind || ': ' || l.evidence
    FROM account_links AS l JOIN subject AS a ON a.account_id IN (l.account_a, l.account_b)
    UNION ALL
    SELECT
        6, 'was decided', -epoch(b.at), b.verdict, NULL, NULL, NULL, NULL,
        concat('by ', b.author, ' at ', b.at, coalesce(' until ' || b.until, ''), ': ', b.reason)
    FROM labels AS b JOIN subject AS a ON b.subject_id = a.account_id AND b.subject_kind = 'account'
)
SELECT part, what, value, peer_median, peer_percentile, contribution, says
FROM lines
ORDER BY part_number, line_order, what;

COMMENT ON MACRO TABLE explain_account IS
    'Why an account stands where it stands: evidence for and against, peers, ordinary causes, links, decisions.';
