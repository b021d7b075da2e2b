-- What: where accounts and campaigns stood in the last 60 rankings, this one included: in each the first 1,000 accounts and
-- every campaign, and in the last two every account, for what its evidence has accumulated to.
-- Grain: ranking, kind of subject and subject. Owner: trust-and-safety. Audits: none.
WITH everything AS (
    SELECT * FROM ranking_snapshot()
    UNION ALL BY NAME
    SELECT
        a.as_of, 'account' AS subject_kind, a.account_id AS id, a.rank, a.score, []::VARCHAR[] AS families,
        []::DOUBLE[] AS contributions, a.log_e_accumulated, []::VARCHAR[] AS members
    FROM suspect_accounts AS a WHERE a.rank > 1000
    UNION ALL BY NAME
    SELECT h.* FROM staged_history AS h WHERE h.as_of <> (SELECT max(r.as_of) FROM staged_runs AS r)
),
placed AS (
    SELECT e.*, dense_rank() OVER (ORDER BY e.as_of DESC) AS back FROM everything AS e
)
SELECT
    p.as_of::TIMESTAMPTZ AS as_of,
    p.subject_kind::VARCHAR AS subject_kind,
    p.id::VARCHAR AS id,
    p.rank::BIGINT AS rank,
    p.score::DOUBLE AS score,
    p.families::VARCHAR[] AS families,
    p.contributions::DOUBLE[] AS contributions,
    p.log_e_accumulated::DOUBLE AS log_e_accumulated,
    p.members::VARCHAR[] AS members
FROM placed AS p
WHERE p.back <= 60 AND (p.back <= 2 OR p.rank <= 1000 OR p.subject_kind = 'campaign')
ORDER BY p.as_of DESC, p.subject_kind, p.rank
