-- What: the newest verdict on each subject that holds at the end of the horizon.
-- Grain: kind of subject and subject. Owner: trust-and-safety. Audits: none.
SELECT
    l.subject_kind::VARCHAR AS subject_kind,
    l.subject_id::VARCHAR AS subject_id,
    l.verdict::VARCHAR AS verdict,
    -- What a person found innocent stays down; its evidence stays visible.
    (l.verdict IN ('false_positive', 'benign', 'duplicate'))::BOOLEAN AS is_down
FROM staged_labels AS l
WHERE l.until IS NULL OR l.until > (SELECT max(r.as_of) FROM staged_runs AS r)
QUALIFY row_number() OVER (PARTITION BY l.subject_kind, l.subject_id ORDER BY l.at DESC, l.verdict, l.author) = 1
