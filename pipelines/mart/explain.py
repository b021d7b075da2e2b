"""Why an account or campaign stands where it stands, as a value that terminal, JSON and HTML all show.

What was seen, what peers do, what argues against it, with whom, what could not be seen, what would settle it.
"""

from dataclasses import dataclass
from datetime import datetime

from pipelines.errors import UsageError
from pipelines.mart import queries
from pipelines.mart.open import Mart
from pipelines.mart.rows import Campaign, Kind, Label, Link, Member, Reason, Source, Suspect
from pipelines.mart.words import (
    event_said,
    instant,
    list_said,
    place,
    probability,
    rate,
    settles,
    told,
    wording,
)
from pipelines.report.inert import terminal
from schemas.missing import EVIDENCE_OF_FIELD

FEW_REQUESTS = 50
SMALL = 0.05
ALWAYS_TOLD = 3


@dataclass(frozen=True)
class Finding:
    """One piece of evidence. contribution: nats added to the score (negative argues against)."""

    family: str
    reason: str
    says: str
    seen: str
    peers: str
    peer_percentile: float | None
    contribution: float
    ordinary_cause: str


@dataclass(frozen=True)
class OrdinaryCause:
    """What would explain some of the evidence innocently. explains: what each piece of that evidence says."""

    cause: str
    explains: list[str]


@dataclass(frozen=True)
class Explanation:
    """An account or campaign explained.

    among: how many of its kind are ranked. found: evidence for it, against: evidence against it, both
    strongest first. ordinary_causes: what would explain the evidence innocently. unavailable: evidence that
    nobody could look at, and why. settle: what a person can do next. accounts: members of a campaign, 1 for
    an account. list_said: of a campaign, how long its list of prompts is and how much of it is taken. past: of a
    campaign, what became of it from ranking to ranking, the oldest first.
    """

    kind: Kind
    id: str
    as_of: datetime
    rank: int
    among: int
    score: float
    p_value: float | None
    confidence: str
    label: str | None
    state: str
    requests: int
    accounts: int
    first_seen: datetime
    last_seen: datetime
    campaign_id: str | None
    campaign_rank: int | None
    completion_tokens: int | None
    growth_7d: float | None
    found: list[Finding]
    against: list[Finding]
    ordinary_causes: list[OrdinaryCause]
    members: list[Member]
    links: list[Link]
    linked_accounts: int
    labels: list[Label]
    unavailable: list[str]
    settle: list[str]
    log_e: float
    false_discovery_rate: float
    list_said: str | None
    past: list[str]

    @property
    def told_found(self) -> list[Finding]:
        """Evidence for it that is worth a line: at least SMALL nats, and the first ALWAYS_TOLD anyway."""
        return _told(self.found)

    @property
    def told_against(self) -> list[Finding]:
        """Evidence against it that is worth a line."""
        return _told(self.against)

    @property
    def small(self) -> tuple[int, float]:
        """How many pieces of evidence are worth no line of their own, and what they add together."""
        told = [*self.told_found, *self.told_against]
        rest = [f for f in (*self.found, *self.against) if f not in told]
        return len(rest), sum(f.contribution for f in rest)


def explain(mart: Mart, subject: str, kind: Kind | None = None, links: int = 10) -> Explanation:
    """Explains an id, of an account or of a campaign; links: how many links are told.

    The id may also be given as a terminal showed it, with codes for invisible characters. Raises UsageError
    when the ranking holds no such id, or both an account and a campaign of that name and kind is None.
    """
    account, campaign = _find(mart, subject, kind)
    if account is None and campaign is None:
        account, campaign = _find(mart, _as_shown(mart, subject, kind), kind)
    if account is not None and campaign is not None:
        raise UsageError(f"{subject!r} is both an account and a campaign; say which with --kind.")
    if account is not None:
        return explain_account(mart, account, links)
    assert campaign is not None
    return explain_campaign(mart, campaign, links)


def explain_account(mart: Mart, account: Suspect, links: int = 10) -> Explanation:
    """An account of the ranking, explained."""
    reasons = queries.reasons(mart, "account", account.account_id)
    campaign = queries.campaign(mart, account.campaign_id) if account.campaign_id else None
    found, against = _findings(reasons)
    return Explanation(
        kind="account",
        id=account.account_id,
        as_of=account.as_of,
        rank=account.rank,
        among=queries.ranked(mart)[0],
        score=account.score,
        p_value=account.p_value,
        confidence=account.confidence,
        label=account.label,
        state=account.state,
        requests=account.requests,
        accounts=1,
        first_seen=account.first_seen,
        last_seen=account.last_seen,
        campaign_id=account.campaign_id,
        campaign_rank=campaign.rank if campaign else None,
        completion_tokens=None,
        growth_7d=None,
        found=found,
        against=against,
        ordinary_causes=_causes(_told(found)),
        members=[],
        links=queries.links(mart, account.account_id, links),
        linked_accounts=queries.link_count(mart, account.account_id),
        labels=queries.labels(mart, "account", account.account_id),
        unavailable=_unavailable(reasons, queries.sources(mart)),
        settle=_settle(_told(found), account.requests),
        log_e=account.log_e,
        false_discovery_rate=account.false_discovery_rate,
        list_said=None,
        past=[],
    )


def explain_campaign(mart: Mart, campaign: Campaign, links: int = 10) -> Explanation:
    """A campaign of the ranking, explained; its links are those of its first members."""
    reasons = queries.reasons(mart, "campaign", campaign.campaign_id)
    found, against = _findings(reasons)
    return Explanation(
        kind="campaign",
        id=campaign.campaign_id,
        as_of=campaign.as_of,
        rank=campaign.rank,
        among=queries.ranked(mart)[1],
        score=campaign.score,
        p_value=None,
        confidence=campaign.confidence,
        label=campaign.label,
        state=campaign.state,
        requests=campaign.requests,
        accounts=campaign.accounts,
        first_seen=campaign.first_seen,
        last_seen=campaign.last_seen,
        campaign_id=None,
        campaign_rank=None,
        completion_tokens=campaign.completion_tokens,
        growth_7d=campaign.growth_7d,
        found=found,
        against=against,
        ordinary_causes=_causes(_told(found)),
        members=queries.members(mart, campaign.campaign_id),
        links=[],
        linked_accounts=campaign.accounts,
        labels=queries.labels(mart, "campaign", campaign.campaign_id),
        unavailable=_unavailable(reasons, queries.sources(mart)),
        settle=_settle(_told(found), campaign.requests),
        log_e=campaign.log_e,
        false_discovery_rate=campaign.false_discovery_rate,
        list_said=list_said(campaign),
        past=[
            f"{instant(event.as_of)} {event_said(event, campaign.campaign_id)}"
            for event in queries.campaign_events(mart, campaign.campaign_id)
        ],
    )


def finding(reason: Reason) -> Finding:
    """A reason in words; seen is empty when the evidence is unavailable."""
    words = wording(reason.reason)
    peers = []
    if reason.peer_median is not None:
        peers.append(f"median of peers {told(reason.peer_median, words.unit)}")
    if reason.peer_percentile is not None:
        peers.append(place(reason.peer_percentile))
    return Finding(
        reason.family,
        reason.reason,
        words.says,
        "" if reason.value is None else told(reason.value, words.unit),
        ", ".join(peers),
        reason.peer_percentile,
        reason.contribution,
        reason.ordinary_cause,
    )


def standing(e: Explanation) -> list[str]:
    """Where it stands, in sentences; the first one names it."""
    first = f"{e.kind.capitalize()} {e.id} is number {e.rank:,} of {e.among:,}, as of {instant(e.as_of)}."
    p = f", p-value {probability(e.p_value)}" if e.kind == "account" else ""
    second = f"Score {e.score:.2f}{p}. Confidence {e.confidence}. State {e.state.replace('_', ' ')}."
    if e.label is not None:
        second += f" Label in force: {e.label.replace('_', ' ')}."
    third = f"{e.requests:,} calls from {instant(e.first_seen)} to {instant(e.last_seen)}"
    if e.kind == "campaign":
        third = f"{e.accounts:,} accounts made {third}, taking {e.completion_tokens or 0:,} tokens"
        if e.growth_7d is not None:
            third += f"; the last 7 days are {e.growth_7d:.3g} times the 7 before"
    sentences = [first, second, third + ".", rate(e.false_discovery_rate, e.kind) + "."]
    if e.list_said is not None:
        sentences.append(e.list_said + ".")
    if e.past:
        sentences.append(f"What became of it: {'; '.join(e.past)}.")
    if e.campaign_id is not None:
        rank = "" if e.campaign_rank is None else f" (number {e.campaign_rank:,} of the campaigns)"
        sentences.append(f"It belongs to campaign {e.campaign_id}{rank}.")
    return sentences


def _findings(reasons: list[Reason]) -> tuple[list[Finding], list[Finding]]:
    known = [finding(r) for r in reasons if r.value is not None or r.contribution != 0]
    return [f for f in known if f.contribution > 0], [f for f in known if f.contribution < 0]


def _told(findings: list[Finding]) -> list[Finding]:
    return [f for i, f in enumerate(findings) if i < ALWAYS_TOLD or abs(f.contribution) >= SMALL]


def _causes(found: list[Finding]) -> list[OrdinaryCause]:
    by_cause: dict[str, list[str]] = {}
    for f in found:
        if f.ordinary_cause:
            by_cause.setdefault(f.ordinary_cause, []).append(f.says)
    return [OrdinaryCause(cause, list(dict.fromkeys(says))) for cause, says in by_cause.items()]


def _unavailable(reasons: list[Reason], sources: list[Source]) -> list[str]:
    fields: dict[str, list[str]] = {}
    for source in sources:
        for name in source.missing_fields:
            fields.setdefault(name, []).append(source.source)
    told_of: dict[str, None] = {}
    for name, where in fields.items():
        for evidence in EVIDENCE_OF_FIELD.get(name, ()):
            what = wording(evidence).says
            told_of[f"{what}: the field {name} is missing in {', '.join(dict.fromkeys(where))}"] = None
    named = {e for name in fields for e in EVIDENCE_OF_FIELD.get(name, ())}
    for reason in reasons:
        if (
            reason.value is None
            and reason.contribution == 0
            and not {reason.family, f"{reason.family}.{reason.reason}"} & named
        ):
            told_of[f"{wording(reason.reason).says}: not enough data, or a field is missing"] = None
    return list(told_of)


def _settle(found: list[Finding], requests: int) -> list[str]:
    steps = dict.fromkeys(step for f in found if (step := settles(f.family)) is not None)
    if requests < FEW_REQUESTS:
        wait = (
            f"Wait for more than its {requests} calls, or rank a longer horizon: tests gain power with calls."
        )
        steps[wait] = None
    return list(steps)


def _find(mart: Mart, subject: str, kind: Kind | None) -> tuple[Suspect | None, Campaign | None]:
    return (
        queries.account(mart, subject) if kind != "campaign" else None,
        queries.campaign(mart, subject) if kind != "account" else None,
    )


def _as_shown(mart: Mart, subject: str, kind: Kind | None) -> str:
    """The id that a terminal shows as subject; otherwise UsageError with the nearest id."""
    unusual = mart.rows(
        """
        SELECT account_id FROM suspect_accounts WHERE regexp_matches(account_id, '[^ -~]')
        UNION SELECT campaign_id FROM suspect_campaigns WHERE regexp_matches(campaign_id, '[^ -~]')"""
    )
    matches = [found for (found,) in unusual if terminal(found) == subject]
    if len(matches) == 1:
        return str(matches[0])
    near = mart.rows(
        """
        SELECT id FROM (
            SELECT account_id AS id, 'account' AS kind FROM suspect_accounts
            UNION ALL SELECT campaign_id, 'campaign' FROM suspect_campaigns
        ) WHERE kind = coalesce($2, kind) AND levenshtein(id, $1) <= greatest(1, length($1) // 4)
        ORDER BY levenshtein(id, $1), id LIMIT 1""",
        subject,
        kind,
    )
    lists = "`scarecrow suspects` and `scarecrow campaigns` list ids."
    hint = f"did you mean {terminal(near[0][0])}?" if near else lists
    what = kind or "account or campaign"
    raise UsageError(f"The ranking in {mart.path} has no {what} {terminal(subject)}; {hint}")
