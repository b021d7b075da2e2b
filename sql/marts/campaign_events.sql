-- What: what became of campaigns from one kept ranking to the next: births, splits, mergers, returns, endings. A campaign
-- that is new or back and has at least two members, and a quarter of them, from one campaign of the ranking before has
-- split off it; one that is gone has merged into the campaign that most of its members went to, by the same measure.
-- Grain: ranking, campaign and event. Owner: trust-and-safety. Audits: none.
WITH shown AS (
    SELECT h.as_of, h.id, h.members, len(h.members) AS accounts
    FROM ranking_history AS h WHERE h.subject_kind = 'campaign' AND len(h.members) > 0
),
rankings AS (
    SELECT
        r.as_of,
        lag(r.as_of) OVER (ORDER BY r.as_of) AS before,
        lead(r.as_of) OVER (ORDER BY r.as_of) AS after,
        count(*) OVER () AS kept
    FROM (SELECT DISTINCT h.as_of FROM ranking_history AS h) AS r
),
members AS (
    SELECT s.as_of, s.id, unnest(s.members) AS account_id FROM shown AS s
),
flows AS (
    SELECT r.before, r.as_of, b.id AS was, a.id AS is_now, count(*) AS accounts
    FROM rankings AS r
    JOIN members AS a ON a.as_of = r.as_of
    JOIN members AS b ON b.as_of = r.before AND b.account_id = a.account_id
    GROUP BY r.before, r.as_of, b.id, a.id
),
arrived AS (
    SELECT
        s.*, r.before,
        EXISTS (SELECT 1 FROM shown AS e WHERE e.id = s.id AND e.as_of < s.as_of) AS is_known
    FROM shown AS s JOIN rankings AS r USING (as_of)
    -- The oldest ranking of a full history is where it was cut off, not where its campaigns began.
    WHERE NOT EXISTS (SELECT 1 FROM shown AS b WHERE b.id = s.id AND b.as_of = r.before)
        AND (r.before IS NOT NULL OR r.kept < 60)
),
left_behind AS (
    SELECT s.id, s.accounts, s.as_of AS before, r.after AS as_of
    FROM shown AS s JOIN rankings AS r USING (as_of)
    WHERE r.after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM shown AS a WHERE a.id = s.id AND a.as_of = r.after)
),
sources AS (
    SELECT f.as_of, f.is_now AS id, arg_max(f.was, (f.accounts, f.was)) AS other_id, max(f.accounts) AS accounts
    FROM flows AS f WHERE f.was <> f.is_now GROUP BY f.as_of, f.is_now
),
targets AS (
    SELECT f.as_of, f.was AS id, arg_max(f.is_now, (f.accounts, f.is_now)) AS other_id, max(f.accounts) AS accounts
    FROM flows AS f WHERE f.was <> f.is_now GROUP BY f.as_of, f.was
),
events AS (
    SELECT
        a.as_of, a.id, a.accounts AS all_accounts,
        s.other_id, s.accounts,
        coalesce(s.accounts >= greatest(2, a.accounts / 4), false) AS is_related,
        'split' AS related, CASE WHEN a.is_known THEN 'returned' ELSE 'born' END AS alone
    FROM arrived AS a LEFT JOIN sources AS s ON s.as_of = a.as_of AND s.id = a.id
    UNION ALL
    SELECT
        l.as_of, l.id, l.accounts, t.other_id, t.accounts,
        coalesce(t.accounts >= greatest(2, l.accounts / 4), false), 'merged', 'ended'
    FROM left_behind AS l LEFT JOIN targets AS t ON t.as_of = l.as_of AND t.id = l.id
)
SELECT
    e.as_of::TIMESTAMPTZ AS as_of,
    e.id::VARCHAR AS campaign_id,
    (CASE WHEN e.is_related THEN e.related ELSE e.alone END)::VARCHAR AS event,
    (CASE WHEN e.is_related THEN e.other_id END)::VARCHAR AS other_id,
    (CASE WHEN e.is_related THEN e.accounts ELSE e.all_accounts END)::BIGINT AS accounts
FROM events AS e
ORDER BY e.as_of, event, campaign_id
