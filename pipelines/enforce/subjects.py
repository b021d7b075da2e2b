"""Subjects: accounts and campaigns of a mart, with what the policy needs to grade them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.alerts.findings import ANCHORS, OF_METADATA, Finding, read_ranking
from pipelines.mart.labels import Verdict
from pipelines.mart.open import Mart
from pipelines.mart.rows import Kind
from pipelines.mart.words import wording

_REASONS = 3


@dataclass(frozen=True)
class Subject:
    """One account or campaign. p_value: 0 for a campaign. membership: in its campaign, 0 to 1.

    requests_per_day: calls per day with calls; of a campaign, the median over its members.
    """

    kind: Kind
    id: str
    score: float
    p_value: float
    label: str | None
    state: str
    confidence: str
    has_two_families: bool
    campaign_id: str | None
    membership: float
    requests_per_day: float
    reasons: list[str]


@dataclass(frozen=True)
class Subjects:
    """Of one ranking. ordinary_per_day: calls per day that nine in ten inconspicuous accounts stay under."""

    as_of_ms: int
    campaigns: list[Subject]
    accounts: list[Subject]
    ordinary_per_day: float


def read_subjects(mart: Mart, from_score: float, max_p: float, family_nats: float) -> Subjects:
    """Campaigns; accounts of a campaign, with a verdict, or with a score and p-value that count."""
    campaigns = int(mart.rows("SELECT count(*) FROM suspect_campaigns")[0][0])
    ranking = read_ranking(mart, campaigns, 0)
    rates: Mapping[str, float] = dict(
        mart.rows(
            """
            SELECT campaign_id, median(requests_per_active_day)
            FROM campaign_members JOIN account_profiles USING (account_id) GROUP BY campaign_id"""
        )
    )
    ordinary = mart.rows(
        """
        SELECT quantile_cont(p.requests_per_active_day, 0.9)
        FROM account_profiles AS p JOIN suspect_accounts AS a USING (account_id)
        WHERE coalesce(a.p_value, 1) > ? AND a.campaign_id IS NULL""",
        max_p,
    )[0][0]
    return Subjects(
        ranking.as_of_ms,
        [_campaign(f, rates.get(f.id, 0.0), family_nats) for f in ranking.findings],
        _accounts(mart, from_score, max_p, family_nats),
        float(ordinary or 0.0),
    )


def with_verdicts(subjects: Subjects, verdicts: Sequence[Verdict], now_ms: int) -> Subjects:
    """The subjects with the newest verdict of each, for people decide faster than rankings come."""
    newest: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=lambda v: v.at_ms):
        newest[verdict.subject_kind, verdict.subject_id] = verdict

    def labelled(subject: Subject) -> Subject:
        verdict = newest.get((subject.kind, subject.id))
        if verdict is None:
            return subject
        holds = verdict.until_ms is None or verdict.until_ms > now_ms
        return replace(subject, label=verdict.verdict if holds else None)

    return replace(
        subjects,
        campaigns=[labelled(s) for s in subjects.campaigns],
        accounts=[labelled(s) for s in subjects.accounts],
    )


def _campaign(f: Finding, rate: float, family_nats: float) -> Subject:
    codes = [e.reason for e in f.evidence if e.contribution > 0][:_REASONS]
    return Subject(
        f.kind,
        f.id,
        f.score,
        0.0,
        f.label,
        f.state,
        f.confidence,
        f.has_two_families(family_nats),
        None,
        1.0,
        rate,
        codes,
    )


def _accounts(mart: Mart, from_score: float, max_p: float, family_nats: float) -> list[Subject]:
    rows = mart.rows(
        """
        WITH picked AS (
            SELECT a.*, coalesce(m.membership, 0) AS membership
            FROM suspect_accounts AS a
            LEFT JOIN campaign_members AS m USING (account_id, campaign_id)
            WHERE (a.score >= $1 AND a.p_value <= $3) OR a.campaign_id IS NOT NULL OR a.label IS NOT NULL
        ),
        families AS (
            SELECT id, family, sum(contribution) AS nats,
                coalesce(sum(contribution) FILTER (NOT list_contains($4, reason)), 0) AS of_content
            FROM account_reasons SEMI JOIN picked ON account_id = id GROUP BY id, family
        ),
        carried AS (
            SELECT id, count(*) >= 2
                AND bool_or(list_contains($5, family) AND of_content >= $2) AS is_enough
            FROM families WHERE nats >= $2 GROUP BY id
        ),
        strongest AS (
            SELECT id, list(reason ORDER BY contribution DESC, reason) FILTER (contribution > 0) AS reasons
            FROM account_reasons SEMI JOIN picked ON account_id = id GROUP BY id
        )
        SELECT p.account_id, p.score, coalesce(p.p_value, 1), p.label, p.state, p.confidence,
               coalesce(c.is_enough, false), p.campaign_id, p.membership,
               coalesce(f.requests_per_active_day, 0), coalesce(s.reasons[:3], [])
        FROM picked AS p LEFT JOIN carried AS c ON c.id = p.account_id
        LEFT JOIN strongest AS s ON s.id = p.account_id
        LEFT JOIN account_profiles AS f ON f.account_id = p.account_id
        ORDER BY p.rank""",
        from_score,
        family_nats,
        max_p,
        list(OF_METADATA),
        list(ANCHORS),
    )
    return [Subject("account", *row) for row in rows]


def reason_text(codes: list[str]) -> str:
    """Reasons in words. Codes are ours, but a mart is a file: callers make the text inert."""
    return "; ".join(dict.fromkeys(wording(code).says for code in codes)) or "a person's verdict"
