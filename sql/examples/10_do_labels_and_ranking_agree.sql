-- Question: Where do people's decisions and the ranking disagree?
-- Answer: labelled subjects with their standing, and whether the label still holds at the end of the horizon.
SELECT
    b.subject_kind,
    b.subject_id,
    b.verdict,
    b.author,
    b.reason,
    b.until IS NULL OR b.until > r.as_of AS is_in_force,
    coalesce(a.rank, c.rank) AS rank,
    round(coalesce(a.score, c.score), 1) AS score
FROM labels AS b
CROSS JOIN (SELECT max(as_of) AS as_of FROM runs) AS r
LEFT JOIN suspect_accounts AS a ON b.subject_kind = 'account' AND a.account_id = b.subject_id
LEFT JOIN suspect_campaigns AS c ON b.subject_kind = 'campaign' AND c.campaign_id = b.subject_id
ORDER BY rank NULLS LAST, b.subject_id;
