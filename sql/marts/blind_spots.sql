-- What: what this installation cannot see, how much of the traffic that concerns, and what would help.
-- Grain: blind spot. Owner: data-engineering. Audits: none.
WITH horizon AS (
    SELECT h.as_of, h.requests, h.unmapped_requests, h.silent_days, h.days FROM staged_horizon AS h
),
absent AS (
    SELECT unnest(s.missing_fields) AS field, s.source, s.records FROM staged_sources AS s
    UNION ALL
    SELECT 'prompt or prompt_embedding', s.source, s.records FROM staged_sources AS s
    WHERE list_has_all(s.missing_fields, ['prompt', 'prompt_embedding'])
),
evidence AS (
    SELECT e.field, string_agg(e.evidence, ', ' ORDER BY e.evidence) AS unavailable
    FROM staged_field_evidence AS e GROUP BY e.field
),
missing AS (
    SELECT
        a.field, count(DISTINCT a.source) AS sources, sum(a.records) AS records,
        (SELECT sum(s.records) FROM staged_sources AS s) AS all_records
    FROM absent AS a JOIN evidence AS e USING (field) GROUP BY a.field
),
insufficient AS (
    SELECT
        count(*) FILTER (a.confidence = 'insufficient') AS accounts, count(*) AS all_accounts,
        coalesce(sum(a.requests) FILTER (a.confidence = 'insufficient'), 0) AS requests
    FROM suspect_accounts AS a
),
spots AS (
    SELECT
        'missing_field' AS kind, m.field AS subject, NULL AS accounts, m.records AS requests,
        m.records / nullif(m.all_records, 0) AS share,
        concat('the field ', m.field, ' never came in ', m.sources, ' source(s), so there is no ', e.unavailable) AS says,
        concat('log ', m.field, ' at the gateway, or map it in the format') AS remedy
    FROM missing AS m JOIN evidence AS e USING (field)
    UNION ALL
    SELECT
        'few_requests', 'confidence insufficient', i.accounts, i.requests, i.accounts / nullif(i.all_accounts, 0),
        concat(i.accounts, ' of ', i.all_accounts, ' accounts have too few distinct prompts to be compared with others'),
        'rank a longer horizon, or wait: tests gain power with calls'
    FROM insufficient AS i WHERE i.accounts > 0
    UNION ALL
    SELECT
        'rejects', s.source, NULL, s.rejects, least(1, s.rejects / nullif(s.records, 0)),
        concat(s.rejects, ' of ', s.records, ' records of ', s.source, ' are no request records'),
        'read the reasons in LAKE/rejects and correct the source or its format'
    FROM staged_sources AS s WHERE s.rejects > 0
    UNION ALL
    SELECT
        'lost_records', s.source, NULL, s.lost_records, s.lost_records / (s.lost_records + s.records),
        concat(s.lost_records, ' records of ', s.source, ' were removed by retention before they were read'),
        'keep the topic longer, or ingest more often'
    FROM staged_sources AS s WHERE s.lost_records > 0
    UNION ALL
    SELECT
        'no_cell', 'prompt map', NULL, h.unmapped_requests, h.unmapped_requests / nullif(h.requests, 0),
        concat(h.unmapped_requests, ' of ', h.requests, ' calls have no cell: no text, or measured with another prompt map'),
        'ingest the log of these days anew with the map in use'
    FROM horizon AS h WHERE h.unmapped_requests > 0
    UNION ALL
    SELECT
        'silent_days', 'horizon', NULL, NULL, h.silent_days / nullif(h.days, 0),
        concat(h.silent_days, ' of the ', h.days, ' days of the horizon have no calls at all'),
        'ingest the missing days, or rank a shorter horizon'
    FROM horizon AS h WHERE h.silent_days > 0
)
SELECT
    (SELECT h.as_of FROM horizon AS h)::TIMESTAMPTZ AS as_of,
    s.kind::VARCHAR AS kind,
    s.subject::VARCHAR AS subject,
    s.accounts::BIGINT AS accounts,
    s.requests::BIGINT AS requests,
    s.share::DOUBLE AS share,
    s.says::VARCHAR AS says,
    s.remedy::VARCHAR AS remedy
FROM spots AS s
ORDER BY s.kind, s.share DESC, s.subject
