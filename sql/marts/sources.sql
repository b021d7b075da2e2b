-- What: what was read, what is missing and which reasons that makes unavailable.
-- Grain: source partition. Owner: data-engineering. Audits: none.
SELECT s.* FROM staged_sources AS s
