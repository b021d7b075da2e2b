-- What: what is different from an earlier ranking, and why: accounts that entered or left the first k, campaigns that
-- appeared or vanished, and whose score rose or fell by at least step. Compared is the newest kept ranking at or
-- before as_of, or the oldest one kept when as_of is earlier (column since tells which).
-- Grain: kind of subject and subject that changed. Owner: trust-and-safety.
-- Call: FROM changed_since('2026-11-07'); FROM changed_since('2026-11-07', k := 20, step := 1.0);
CREATE OR REPLACE MACRO changed_since(as_of, k := 100, step := 0.5) AS TABLE
WITH before AS (
    SELECT coalesce(max(h.as_of) FILTER (h.as_of <= as_of::TIMESTAMPTZ), min(h.as_of)) AS since
    FROM ranking_history AS h
    WHERE h.as_of < (SELECT max(a.as_of) FROM suspect_accounts AS a)
),
earlier AS (
    SELECT h.* FROM ranking_history AS h JOIN before AS b ON h.as_of = b.since
    WHERE h.subject_kind = 'campaign' OR h.rank <= 1000
),
present AS (
    SELECT * FROM ranking_snapshot()
),
moves AS (
    SELECT subject_kind, id, family, sum(amount) AS amount
    FROM (
        SELECT p.subject_kind, p.id, unnest(p.families) AS family, unnest(p.contributions) AS amount FROM present AS p
        UNION ALL
        SELECT e.subject_kind, e.id, unnest(e.families), -unnest(e.contributions) FROM earlier AS e
    )
    GROUP BY subject_kind, id, family
),
moved AS (
    SELECT
        m.subject_kind, m.id,
        string_agg(format('{} {:+.2f}', m.family, m.amount), ', ' ORDER BY abs(m.amount) DESC, m.family) AS by_family
    FROM moves AS m WHERE abs(m.amount) >= 0.005 GROUP BY m.subject_kind, m.id
),
compared AS (
    SELECT
        coalesce(p.subject_kind, e.subject_kind) AS subject_kind,
        coalesce(p.id, e.id) AS id,
        e.rank AS rank_then,
        coalesce(p.rank, a.rank) AS rank_now,
        e.score AS score_then,
        coalesce(p.score, a.score) AS score_now,
        a.label,
        a.first_seen,
        e.rank IS NOT NULL AND (e.subject_kind = 'campaign' OR e.rank <= k) AS was_in,
        p.rank IS NOT NULL AND (p.subject_kind = 'campaign' OR p.rank <= k) AS is_in,
        p.rank IS NOT NULL AS is_present
    FROM present AS p
    FULL JOIN earlier AS e ON p.subject_kind = e.subject_kind AND p.id = e.id
    LEFT JOIN (
        SELECT 'account' AS subject_kind, s.account_id AS id, s.rank, s.score, s.label, s.first_seen
        FROM suspect_accounts AS s
        UNION ALL
        SELECT 'campaign', c.campaign_id, c.rank, c.score, c.label, c.first_seen FROM suspect_campaigns AS c
    ) AS a ON a.subject_kind = coalesce(p.subject_kind, e.subject_kind) AND a.id = coalesce(p.id, e.id)
),
changes AS (
    SELECT
        c.*,
        CASE
            WHEN is_in AND NOT was_in THEN 'entered'
            WHEN was_in AND NOT is_in THEN 'left'
            WHEN was_in AND is_in AND score_now - score_then >= step THEN 'rose'
            WHEN was_in AND is_in AND score_then - score_now >= step THEN 'fell'
        END AS change
    FROM compared AS c
)
SELECT
    c.subject_kind,
    c.id,
    c.change,
    c.rank_then,
    c.rank_now,
    c.score_then,
    c.score_now,
    b.since,
    concat_ws(
        '; ',
        CASE
            WHEN c.label IS NOT NULL THEN 'labelled ' || c.label
            WHEN c.change = 'entered' AND c.rank_then IS NOT NULL THEN 'number ' || c.rank_then || ' then'
            WHEN c.change = 'entered' AND c.first_seen >= b.since THEN 'first call after that ranking'
            WHEN c.change = 'entered' AND c.subject_kind = 'campaign' THEN 'not found as a group then'
            WHEN c.change = 'entered' THEN 'not among the first 1000 then'
            WHEN c.change = 'left' AND c.rank_now IS NOT NULL THEN 'number ' || c.rank_now || ' now'
            WHEN c.change = 'left' AND c.subject_kind = 'campaign' THEN 'no longer found as a group'
            WHEN c.change = 'left' THEN 'no calls in the horizon any more'
        END,
        CASE WHEN c.is_present THEN m.by_family END
    ) AS why
FROM changes AS c
CROSS JOIN before AS b
LEFT JOIN moved AS m ON c.subject_kind = m.subject_kind AND c.id = m.id
WHERE c.change IS NOT NULL AND b.since IS NOT NULL
ORDER BY
    c.subject_kind DESC, list_position(['entered', 'rose', 'fell', 'left'], c.change),
    coalesce(c.rank_now, c.rank_then), c.id;

COMMENT ON MACRO TABLE changed_since IS
    'What entered, left, rose or fell since an earlier ranking, and which evidence families moved it.';
