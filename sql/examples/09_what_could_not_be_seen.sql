-- Question: What could this ranking not see?
-- Answer: fields that a source never carried, the evidence that they take away, the share of its records rejected, and
-- how many records retention removed before they were read.
SELECT
    s.source,
    s.records,
    round(100 * s.rejects / greatest(s.records, 1), 2) AS percent_rejected,
    s.lost_records,
    s.newest_event_time,
    s.lag_seconds,
    s.missing_fields,
    s.unavailable_reasons
FROM sources AS s
ORDER BY len(s.unavailable_reasons) DESC, s.source;
