-- What: log e-values of accounts and campaigns: of this ranking, accumulated over rankings with decay, and the rate at
-- which e-BH tells them (pipelines/detect/calibrate.py: accumulate, mean_log_e, false_discovery_rate say why this holds).
-- Grain: kind of subject and subject. Owner: trust-and-safety. Audits: none.
WITH this AS (
    SELECT max(r.as_of) AS as_of, arg_max(r.horizon_days, r.as_of) AS horizon_days FROM staged_runs AS r
),
before AS (
    SELECT max(h.as_of) AS as_of FROM staged_history AS h WHERE h.as_of < (SELECT t.as_of FROM this AS t)
),
passed AS (
    -- The first ranking accumulates nothing: what it sees counts in full beside what is accumulated.
    SELECT
        coalesce(epoch(t.as_of - b.as_of) / 86400, 0) AS days,
        least(1, coalesce(epoch(t.as_of - b.as_of) / 86400, 0) / t.horizon_days) AS weight
    FROM this AS t CROSS JOIN before AS b
),
present AS (
    SELECT 'account' AS subject_kind, a.account_id AS id, a.log_e, NULL::BIGINT AS tested FROM staged_accounts AS a
    UNION ALL
    SELECT 'campaign', c.campaign_id, c.log_e, c.tested FROM staged_campaigns AS c
),
accumulated AS (
    SELECT
        p.subject_kind, p.id, p.log_e, p.tested,
        pow(0.5, w.days / 30) * coalesce(h.log_e_accumulated, 0) + w.weight * p.log_e AS log_e_accumulated
    FROM present AS p
    CROSS JOIN passed AS w
    LEFT JOIN staged_history AS h
        ON h.subject_kind = p.subject_kind AND h.id = p.id AND h.as_of = (SELECT b.as_of FROM before AS b)
),
together AS (
    SELECT
        a.subject_kind, a.id, a.log_e_accumulated,
        ln((exp(a.log_e) + exp(a.log_e_accumulated)) / 2) AS log_e,
        coalesce(a.tested, count(*) OVER (PARTITION BY a.subject_kind)) AS tested
    FROM accumulated AS a
),
rates AS (
    SELECT
        t.*,
        t.tested / (count(*) OVER (
            PARTITION BY t.subject_kind ORDER BY t.log_e DESC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) * exp(t.log_e)) AS rate
    FROM together AS t
)
SELECT
    r.subject_kind::VARCHAR AS subject_kind,
    r.id::VARCHAR AS id,
    r.log_e::DOUBLE AS log_e,
    r.log_e_accumulated::DOUBLE AS log_e_accumulated,
    least(1, min(r.rate) OVER (
        PARTITION BY r.subject_kind ORDER BY r.log_e RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ))::DOUBLE AS false_discovery_rate
FROM rates AS r
ORDER BY r.subject_kind, r.id
