-- What: what ties two accounts together.
-- Grain: pair of accounts and kind of link. Owner: trust-and-safety. Audits: links_are_ordered.
SELECT
    l.as_of::TIMESTAMPTZ AS as_of,
    l.account_a::VARCHAR AS account_a,
    l.account_b::VARCHAR AS account_b,
    l.kind::VARCHAR AS kind,
    l.weight::DOUBLE AS weight,
    l.evidence::VARCHAR AS evidence
FROM staged_links AS l
ORDER BY l.account_a, l.account_b, l.kind
