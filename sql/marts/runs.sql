-- What: which code, map and settings made this mart.
-- Grain: ranking. Owner: data-engineering. Audits: none.
SELECT s.* FROM staged_runs AS s
