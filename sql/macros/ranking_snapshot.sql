-- What: the ranking in force as rows of ranking_history: the first 1,000 accounts and every campaign, with what each
-- evidence family adds to the score. The builder of the mart inserts it, analysts compare with it.
-- Grain: kind of subject and subject. Owner: trust-and-safety.
-- Call: INSERT INTO ranking_history FROM ranking_snapshot();
CREATE OR REPLACE MACRO ranking_snapshot() AS TABLE
WITH standing AS (
    SELECT
        a.as_of, 'account' AS subject_kind, a.account_id AS id, a.rank, a.score, a.log_e_accumulated,
        []::VARCHAR[] AS members
    FROM suspect_accounts AS a WHERE a.rank <= 1000
    UNION ALL
    SELECT c.as_of, 'campaign', c.campaign_id, c.rank, c.score, c.log_e_accumulated, m.members
    FROM suspect_campaigns AS c
    LEFT JOIN (
        SELECT g.campaign_id, list(g.account_id ORDER BY g.account_id) AS members
        FROM campaign_members AS g GROUP BY g.campaign_id
    ) AS m USING (campaign_id)
),
added AS (
    SELECT 'account' AS subject_kind, r.id, r.family, sum(r.contribution) AS contribution
    FROM account_reasons AS r GROUP BY r.id, r.family
    UNION ALL
    SELECT 'campaign', r.id, r.family, sum(r.contribution) FROM campaign_reasons AS r GROUP BY r.id, r.family
),
by_subject AS (
    SELECT
        d.subject_kind, d.id,
        list(d.family ORDER BY d.family) AS families, list(d.contribution ORDER BY d.family) AS contributions
    FROM added AS d WHERE d.contribution <> 0 GROUP BY d.subject_kind, d.id
)
SELECT
    s.as_of, s.subject_kind, s.id, s.rank, s.score,
    coalesce(b.families, []::VARCHAR[]) AS families, coalesce(b.contributions, []::DOUBLE[]) AS contributions,
    s.log_e_accumulated, coalesce(s.members, []::VARCHAR[]) AS members
FROM standing AS s LEFT JOIN by_subject AS b USING (subject_kind, id)
ORDER BY s.subject_kind, s.rank;

COMMENT ON MACRO TABLE ranking_snapshot IS 'The ranking in force as rows of ranking_history.';
