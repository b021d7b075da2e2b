-- What: what the contributions of each evidence family were multiplied with.
-- Grain: evidence family. Owner: trust-and-safety. Audits: none.
SELECT
    w.as_of::TIMESTAMPTZ AS as_of,
    w.family::VARCHAR AS family,
    w.weight::DOUBLE AS weight,
    w.origin::VARCHAR AS origin
FROM staged_weights AS w
ORDER BY w.family
