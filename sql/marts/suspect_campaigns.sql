-- What: groups of accounts that one hand seems to drive; sizes, tokens and growth come from the members.
-- Grain: campaign. Owner: trust-and-safety. Audits: members_have_campaigns, ranks_without_gaps.
WITH members AS (
    SELECT
        m.campaign_id,
        count(*) AS accounts,
        sum(a.requests) AS requests,
        min(a.first_seen) AS first_seen,
        max(a.last_seen) AS last_seen,
        max(a.as_of) AS as_of
    FROM staged_members AS m
    JOIN suspect_accounts AS a USING (account_id)
    GROUP BY m.campaign_id
),
tokens AS (
    SELECT m.campaign_id, sum(p.completion_tokens) AS completion_tokens
    FROM staged_members AS m
    JOIN staged_profiles AS p USING (account_id)
    GROUP BY m.campaign_id
),
weeks AS (
    SELECT
        m.campaign_id,
        sum(d.requests) FILTER (d.day >= d.as_of::DATE - 7) AS last_week,
        sum(d.requests) FILTER (d.day < d.as_of::DATE - 7 AND d.day >= d.as_of::DATE - 14) AS week_before
    FROM staged_members AS m
    JOIN account_activity AS d USING (account_id)
    GROUP BY m.campaign_id
)
SELECT
    c.as_of::TIMESTAMPTZ AS as_of,
    row_number() OVER (ORDER BY coalesce(l.is_down, false), c.score DESC, c.campaign_id)::BIGINT AS rank,
    c.campaign_id::VARCHAR AS campaign_id,
    c.score::DOUBLE AS score,
    m.accounts::BIGINT AS accounts,
    m.requests::BIGINT AS requests,
    t.completion_tokens::BIGINT AS completion_tokens,
    m.first_seen::TIMESTAMPTZ AS first_seen,
    m.last_seen::TIMESTAMPTZ AS last_seen,
    (w.last_week / nullif(w.week_before, 0))::DOUBLE AS growth_7d,
    c.reasons::VARCHAR[] AS reasons,
    c.confidence::VARCHAR AS confidence,
    l.verdict::VARCHAR AS label,
    CASE
        WHEN l.is_down THEN 'suppressed'
        WHEN c.state = 'needs_review' THEN 'needs_review'
        WHEN m.last_seen < c.as_of - INTERVAL 7 DAY THEN 'ended'
        WHEN m.last_seen < c.as_of - INTERVAL 2 DAY THEN 'quiet'
        WHEN k.id IS NULL THEN 'new'
        WHEN w.last_week > 1.2 * w.week_before THEN 'growing'
        ELSE 'open'
    END::VARCHAR AS state,
    e.log_e::DOUBLE AS log_e,
    e.log_e_accumulated::DOUBLE AS log_e_accumulated,
    e.false_discovery_rate::DOUBLE AS false_discovery_rate,
    c.prompts_taken::DOUBLE AS prompts_taken,
    c.list_size::DOUBLE AS list_size,
    c.list_size_low::DOUBLE AS list_size_low,
    c.list_size_high::DOUBLE AS list_size_high,
    c.share_taken::DOUBLE AS share_taken,
    c.share_taken_low::DOUBLE AS share_taken_low,
    c.share_taken_high::DOUBLE AS share_taken_high
FROM staged_campaigns AS c
JOIN e_values AS e ON e.subject_kind = 'campaign' AND e.id = c.campaign_id
JOIN members AS m USING (campaign_id)
JOIN tokens AS t USING (campaign_id)
LEFT JOIN weeks AS w USING (campaign_id)
LEFT JOIN labels_in_force AS l ON l.subject_kind = 'campaign' AND l.subject_id = c.campaign_id
LEFT JOIN known_before AS k ON k.subject_kind = 'campaign' AND k.id = c.campaign_id
ORDER BY rank
