-- What: every account of the horizon, most suspect first; what a person found innocent stands last, and so do the
-- members of a campaign found innocent unless a verdict of their own says otherwise.
-- Grain: account. Owner: trust-and-safety. Audits: ranks_without_gaps, reasons_sum_to_score, suppressed_stay_down.
WITH judged AS (
    SELECT a.*, l.verdict, coalesce(l.is_down, g.is_down, false) AS is_down
    FROM staged_accounts AS a
    LEFT JOIN labels_in_force AS l ON l.subject_kind = 'account' AND l.subject_id = a.account_id
    LEFT JOIN labels_in_force AS g ON g.subject_kind = 'campaign' AND g.subject_id = a.campaign_id
)
SELECT
    j.as_of::TIMESTAMPTZ AS as_of,
    row_number() OVER (ORDER BY j.is_down, j.score DESC, j.account_id)::BIGINT AS rank,
    j.account_id::VARCHAR AS account_id,
    j.score::DOUBLE AS score,
    j.p_value::DOUBLE AS p_value,
    j.campaign_id::VARCHAR AS campaign_id,
    j.requests::BIGINT AS requests,
    j.first_seen::TIMESTAMPTZ AS first_seen,
    j.last_seen::TIMESTAMPTZ AS last_seen,
    j.reasons::VARCHAR[] AS reasons,
    j.confidence::VARCHAR AS confidence,
    j.verdict::VARCHAR AS label,
    CASE
        WHEN j.is_down THEN 'suppressed'
        WHEN j.state = 'needs_review' THEN 'needs_review'
        WHEN j.last_seen < j.as_of - INTERVAL 7 DAY THEN 'ended'
        WHEN j.last_seen < j.as_of - INTERVAL 2 DAY THEN 'quiet'
        WHEN k.id IS NULL THEN 'new'
        ELSE 'open'
    END::VARCHAR AS state,
    e.log_e::DOUBLE AS log_e,
    e.log_e_accumulated::DOUBLE AS log_e_accumulated,
    e.false_discovery_rate::DOUBLE AS false_discovery_rate
FROM judged AS j
JOIN e_values AS e ON e.subject_kind = 'account' AND e.id = j.account_id
LEFT JOIN known_before AS k ON k.subject_kind = 'account' AND k.id = j.account_id
ORDER BY rank
