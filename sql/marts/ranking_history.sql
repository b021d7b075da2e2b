-- What: where accounts and campaigns stood in the last 60 rankings, this one included.
-- Grain: ranking, kind of subject and subject. Owner: trust-and-safety. Audits: none.
SELECT h.as_of, h.subject_kind, h.id, h.rank, h.score, h.families, h.contributions
FROM (
    SELECT as_of, subject_kind, id, rank, score, families, contributions FROM ranking_snapshot()
    UNION ALL
    SELECT s.as_of, s.subject_kind, s.id, s.rank, s.score, s.families, s.contributions
    FROM staged_history AS s
    WHERE s.as_of <> (SELECT max(r.as_of) FROM staged_runs AS r)
) AS h
QUALIFY dense_rank() OVER (ORDER BY h.as_of DESC) <= 60
