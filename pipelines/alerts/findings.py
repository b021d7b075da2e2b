"""Findings: accounts and campaigns of a mart that may be worth telling, with the evidence families behind
them.

Belongs here: reading a mart, and METHOD 6.3 (an alert needs two families, one of systematicity, elicitation
or group). Not here: whether a finding is new or worse (`rules`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.mart.open import Mart
from pipelines.mart.rows import Kind

ANCHORS = ("systematicity", "elicitation", "group")
"""Families of which an alert needs one (METHOD 6.3)."""

OF_METADATA = ("first_turns", "conversations", "probe_then_scale")
"""Reasons of systematicity that are read off metadata, not off what was asked. An anchor must hold without them:
metadata alone never suffices (METHOD 6.3), however many families it touches."""

_DOWN = ("suppressed", "ended")

_DISJOINT = "shared_prompts"
"""A campaign's share of longer prompts that recur among its members. The detector can only subtract for it,
so that its good end has no contribution of its own; METHOD 4 makes it evidence beside the common source,
and METHOD 5 counts it (without replacement) to systematicity.
"""
_DISJOINT_SHARE = 0.1
_ORDINARY_SHARE = 0.3
"""METHOD 4: 0.0 to 0.05 in campaigns, 0.3 and more in classes, applications and evaluation teams."""


@dataclass(frozen=True)
class Evidence:
    """A reason as a number. value, peer_median: None when unavailable; contribution: nats."""

    family: str
    reason: str
    value: float | None
    peer_median: float | None
    contribution: float
    ordinary_cause: str


@dataclass(frozen=True)
class Finding:
    """An account or campaign of a ranking.

    place: rank among its kind; for accounts, among those that no campaign covers. families: nats by family,
    own evidence and, for a campaign, the median over its members. accounts: 1 for an account.
    false_discovery_rate: smallest rate at which e-BH tells it among all of its kind (METHOD 6.4); 1 for none.
    of_metadata: what of the families rests on metadata; nothing of a campaign, whose members ask from one list.
    """

    kind: Kind
    id: str
    place: int
    rank: int
    score: float
    accounts: int
    requests: int
    completion_tokens: int | None
    first_seen_ms: int
    last_seen_ms: int
    confidence: str
    label: str | None
    state: str
    families: Mapping[str, float]
    evidence: Sequence[Evidence]
    false_discovery_rate: float = 1.0
    of_metadata: Mapping[str, float] = field(default_factory=dict)

    def has_two_families(self, nats: float) -> bool:
        """METHOD 6.3: two families of at least so many nats each, one of them an anchor that needs no metadata."""
        carried = [family for family, weight in self.families.items() if weight >= nats]
        anchors = [family for family in carried if family in ANCHORS]
        return len(carried) >= 2 and any(
            self.families[family] - self.of_metadata.get(family, 0.0) >= nats for family in anchors
        )

    @property
    def is_down(self) -> bool:
        """A person found it innocent, or it is over."""
        return self.state in _DOWN


@dataclass(frozen=True)
class Ranking:
    """What a mart says at one moment. as_of_ms: end of its horizon."""

    as_of_ms: int
    findings: Sequence[Finding]


def read_ranking(mart: Mart, campaigns: int, accounts: int) -> Ranking:
    """The first campaigns, and the first accounts that no campaign covers; an empty mart has no findings."""
    stamp = mart.rows("SELECT max(as_of) FROM runs")[0][0]
    as_of_ms = 0 if stamp is None else _ms(stamp)
    return Ranking(as_of_ms, [*_campaigns(mart, campaigns), *_accounts(mart, accounts)])


def _campaigns(mart: Mart, top: int) -> list[Finding]:
    rows = mart.rows(
        """
        SELECT campaign_id, rank, score, accounts, requests, completion_tokens, first_seen, last_seen,
               confidence, label, state, false_discovery_rate
        FROM suspect_campaigns ORDER BY rank LIMIT ?""",
        top,
    )
    ids = [row[0] for row in rows]
    evidence = _evidence(mart, "campaign", ids)
    families = _families(evidence)
    for campaign, family, nats in mart.rows(
        """
        WITH members AS (
            SELECT campaign_id, account_id FROM campaign_members WHERE list_contains($1, campaign_id)
        ),
        weights AS (
            SELECT id, family, sum(contribution) AS nats
            FROM account_reasons SEMI JOIN members ON account_id = id GROUP BY id, family
        )
        -- A member without evidence of a family counts as 0 nats: the median is over all members.
        SELECT m.campaign_id, f.family, median(coalesce(w.nats, 0))
        FROM members AS m CROSS JOIN (SELECT DISTINCT family FROM weights) AS f
        LEFT JOIN weights AS w ON w.id = m.account_id AND w.family = f.family
        GROUP BY m.campaign_id, f.family""",
        ids,
    ):
        # The group family is the campaign's own; its members only inherit it.
        if family != "group":
            held = families.setdefault(campaign, {})
            held[family] = held.get(family, 0.0) + float(nats)
    for campaign, reasons in evidence.items():
        held = families.setdefault(campaign, {})
        for e in reasons:
            if e.reason == _DISJOINT and e.value is not None and e.value <= _DISJOINT_SHARE:
                without_replacement = math.log(_ORDINARY_SHARE / (e.value + 0.01))
                held["systematicity"] = max(held.get("systematicity", 0.0), without_replacement)
    return [
        Finding(
            "campaign", id, rank, rank, score, accounts, requests, tokens, _ms(first), _ms(last), confidence,
            label, state, families.get(id, {}), evidence.get(id, []), rate,
        )
        for id, rank, score, accounts, requests, tokens, first, last, confidence, label, state, rate in rows
    ]  # fmt: skip


def _accounts(mart: Mart, top: int) -> list[Finding]:
    rows = mart.rows(
        """
        SELECT account_id, row_number() OVER (ORDER BY rank), rank, score, requests, first_seen, last_seen,
               confidence, label, state, false_discovery_rate
        FROM suspect_accounts WHERE campaign_id IS NULL ORDER BY rank LIMIT ?""",
        top,
    )
    evidence = _evidence(mart, "account", [row[0] for row in rows])
    families = _families(evidence)
    metadata = _families(
        {id: [e for e in found if e.reason in OF_METADATA] for id, found in evidence.items()}
    )
    return [
        Finding(
            "account", id, place, rank, score, 1, requests, None, _ms(first), _ms(last), confidence, label,
            state, families.get(id, {}), evidence.get(id, []), rate, metadata.get(id, {}),
        )
        for id, place, rank, score, requests, first, last, confidence, label, state, rate in rows
    ]  # fmt: skip


def _evidence(mart: Mart, kind: Kind, ids: Sequence[str]) -> dict[str, list[Evidence]]:
    relation = "account_reasons" if kind == "account" else "campaign_reasons"
    found: dict[str, list[Evidence]] = {}
    select = "SELECT id, family, reason, value, peer_median, contribution, ordinary_cause FROM "
    order = " WHERE list_contains($1, id) ORDER BY id, abs(contribution) DESC, family, reason"
    for row in mart.rows(select + relation + order, list(ids)):
        found.setdefault(row[0], []).append(Evidence(*row[1:]))
    return found


def _families(evidence: Mapping[str, Sequence[Evidence]]) -> dict[str, dict[str, float]]:
    weights: dict[str, dict[str, float]] = {}
    for subject, reasons in evidence.items():
        held = weights.setdefault(subject, {})
        for reason in reasons:
            held[reason.family] = held.get(reason.family, 0.0) + reason.contribution
    return weights


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
