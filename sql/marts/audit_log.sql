-- What: every change of a state, a verdict or a weight, oldest first. The changes that this ranking itself makes are
-- added when its states are known.
-- Grain: change of a state. Owner: trust-and-safety. Audits: none.
SELECT
    t.changed_at::TIMESTAMPTZ AS changed_at,
    t.event::VARCHAR AS event,
    t.subject_kind::VARCHAR AS subject_kind,
    t.subject_id::VARCHAR AS subject_id,
    t.before::VARCHAR AS before,
    t.after::VARCHAR AS after,
    t.author::VARCHAR AS author,
    t.reason::VARCHAR AS reason
FROM staged_audit AS t
ORDER BY t.changed_at, t.event, t.subject_kind, t.subject_id
