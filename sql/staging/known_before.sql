-- What: subjects of rankings before this one: campaigns, and accounts among the first 1,000.
-- Grain: kind of subject and subject. Owner: trust-and-safety. Audits: none.
SELECT DISTINCT
    h.subject_kind::VARCHAR AS subject_kind,
    h.id::VARCHAR AS id
FROM staged_history AS h
WHERE h.as_of < (SELECT max(r.as_of) FROM staged_runs AS r) AND (h.subject_kind = 'campaign' OR h.rank <= 1000)
