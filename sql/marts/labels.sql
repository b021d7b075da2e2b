-- What: what people decided.
-- Grain: verdict. Owner: trust-and-safety. Audits: none.
SELECT s.* FROM staged_labels AS s
