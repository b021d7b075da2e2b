-- What: every account of the horizon, most suspect first; what a person found innocent stands last.
-- Grain: account. Owner: trust-and-safety. Audits: ranks_without_gaps, reasons_sum_to_score.
SELECT
    a.as_of::TIMESTAMPTZ AS as_of,
    row_number() OVER (ORDER BY coalesce(l.is_down, false), a.score DESC, a.account_id)::BIGINT AS rank,
    a.account_id::VARCHAR AS account_id,
    a.score::DOUBLE AS score,
    a.p_value::DOUBLE AS p_value,
    a.campaign_id::VARCHAR AS campaign_id,
    a.requests::BIGINT AS requests,
    a.first_seen::TIMESTAMPTZ AS first_seen,
    a.last_seen::TIMESTAMPTZ AS last_seen,
    a.reasons::VARCHAR[] AS reasons,
    a.confidence::VARCHAR AS confidence,
    l.verdict::VARCHAR AS label,
    CASE
        WHEN l.is_down THEN 'suppressed'
        WHEN a.state = 'needs_review' THEN 'needs_review'
        WHEN a.last_seen < a.as_of - INTERVAL 7 DAY THEN 'ended'
        WHEN a.last_seen < a.as_of - INTERVAL 2 DAY THEN 'quiet'
        WHEN k.id IS NULL THEN 'new'
        ELSE 'open'
    END::VARCHAR AS state
FROM staged_accounts AS a
LEFT JOIN labels_in_force AS l ON l.subject_kind = 'account' AND l.subject_id = a.account_id
LEFT JOIN known_before AS k ON k.subject_kind = 'account' AND k.id = a.account_id
