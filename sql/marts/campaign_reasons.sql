-- What: why a campaign stands where it stands; contributions add up to its score.
-- Grain: campaign and reason. Owner: trust-and-safety. Audits: reasons_sum_to_score.
SELECT
    r.as_of::TIMESTAMPTZ AS as_of,
    r.id::VARCHAR AS id,
    r.family::VARCHAR AS family,
    r.reason::VARCHAR AS reason,
    r.value::DOUBLE AS value,
    r.peer_median::DOUBLE AS peer_median,
    r.peer_percentile::DOUBLE AS peer_percentile,
    r.contribution::DOUBLE AS contribution,
    r.ordinary_cause::VARCHAR AS ordinary_cause
FROM staged_campaign_reasons AS r
ORDER BY r.id, abs(r.contribution) DESC, r.family, r.reason
