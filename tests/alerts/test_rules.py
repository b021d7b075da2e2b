"""When somebody is told."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipelines.alerts.findings import Finding
from pipelines.alerts.rules import HOUR_MS, Decision, Known, Limits, decide
from pipelines.mart.rows import Kind

LIMITS = Limits(
    first_campaigns=2,
    first_accounts=2,
    min_score=2.0,
    family_nats=0.1,
    worse_nats=1.0,
    worse_accounts=1.5,
    quiet_ms=24 * HOUR_MS,
    resolve_after=2,
    per_day=10,
)
DAY = 24 * HOUR_MS
TWO = {"group": 4.0, "systematicity": 1.0}


def campaign(name: str, place: int = 1, score: float = 8.0, **changes: object) -> Finding:
    made = Finding(
        "campaign", name, place, place, score, 20, 800, 9000, 0, 1, "medium", None, "open", TWO, []
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class History:
    """Rankings one after the other, as the outbox would remember them."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.known: dict[tuple[Kind, str], Known] = {}
        self.limits = limits

    def rank(self, findings: Sequence[Finding], now_ms: int, told_today: int = 0) -> Decision:
        decision = decide(findings, self.known, self.limits, told_today, now_ms)
        self.known |= {(k.kind, k.id): k for k in decision.known}
        return decision

    def events(self, findings: Sequence[Finding], now_ms: int) -> list[tuple[str, str, int]]:
        return [(t.event, t.id, t.generation) for t in self.rank(findings, now_ms).tell]


def test_new_once() -> None:
    history = History()
    assert history.events([campaign("a")], 0) == [("opened", "a", 1)]
    assert history.events([campaign("a")], DAY) == []


def test_only_the_first_k_of_each_kind() -> None:
    accounts = [replace(campaign(f"n{i}", i), kind="account") for i in range(1, 5)]
    found = History().events([campaign(f"c{i}", i) for i in range(1, 5)] + accounts, 0)
    assert [name for _, name, _ in found] == ["c1", "c2", "n1", "n2"]


@pytest.mark.parametrize(
    "families",
    [
        {"group": 9.0},
        {"tempo": 3.0, "coverage": 3.0, "linkage": 3.0, "diversity": 3.0},
        {"group": 4.0, "tempo": 0.05},
        {"group": 4.0, "systematicity": -1.0},
        {},
    ],
)
def test_an_alert_needs_two_families_one_of_them_an_anchor(families: dict[str, float]) -> None:
    assert History().events([campaign("a", families=families)], 0) == []


@pytest.mark.parametrize("anchor", ["systematicity", "elicitation", "group"])
def test_an_anchor_and_any_other_family_will_do(anchor: str) -> None:
    assert History().events([campaign("a", families={anchor: 0.2, "tempo": 0.2})], 0)


def test_metadata_alone_never_suffices() -> None:
    families = {"tempo": 1.0, "systematicity": 1.2}
    assert not campaign("a", families=families, of_metadata={"systematicity": 1.2}).has_two_families(0.1)
    assert campaign("a", families=families, of_metadata={"systematicity": 1.0}).has_two_families(0.1)
    assert campaign(
        "a", families=families | {"group": 0.2}, of_metadata={"systematicity": 1.2}
    ).has_two_families(0.1)


@pytest.mark.parametrize(
    "changes", [{"score": 1.9}, {"state": "suppressed"}, {"state": "ended"}, {"confidence": "insufficient"}]
)
def test_who_is_not_told(changes: dict[str, object]) -> None:
    assert History().events([campaign("a", **changes)], 0) == []


def test_worse_only_by_the_stated_step_and_after_the_quiet_period() -> None:
    history = History()
    history.rank([campaign("a", score=5.0)], 0)
    held = history.rank([campaign("a", score=7.0)], DAY - 1).held
    assert [(h.event, h.why) for h in held] == [("worse", "quiet")]
    assert history.events([campaign("a", score=5.9)], DAY) == []
    assert history.events([campaign("a", score=6.0)], DAY) == [("worse", "a", 2)]
    # The step counts from what was told last, not from the first alert.
    assert history.events([campaign("a", score=6.9)], 3 * DAY) == []
    assert history.events([campaign("a", score=7.0)], 3 * DAY) == [("worse", "a", 3)]


def test_a_campaign_that_grew_is_worse() -> None:
    history = History()
    history.rank([campaign("a")], 0)
    assert history.events([campaign("a", accounts=29)], DAY) == []
    assert history.events([campaign("a", accounts=30)], DAY) == [("worse", "a", 2)]


def test_resolved_when_gone_for_long_enough() -> None:
    history = History()
    history.rank([campaign("a")], 0)
    assert history.events([], DAY) == []
    assert (
        history.events([campaign("a", place=3)], 2 * DAY) == []
    )  # near the first k: it stays, and counts anew
    assert history.events([], 3 * DAY) == []
    assert history.events([campaign("a", place=5)], 4 * DAY) == [("resolved", "a", 2)]
    assert history.events([], 5 * DAY) == []
    assert history.events([campaign("a")], 6 * DAY) == [("opened", "a", 3)]


def test_what_a_person_found_innocent_is_resolved_at_once() -> None:
    history = History()
    history.rank([campaign("a")], 0)
    assert history.events([campaign("a", state="suppressed")], 1) == [("resolved", "a", 2)]


def test_a_finding_that_flaps_is_quiet() -> None:
    history = History(replace(LIMITS, resolve_after=1))
    history.rank([campaign("a")], 0)
    history.rank([], HOUR_MS)
    decision = history.rank([campaign("a")], 2 * HOUR_MS)
    assert [h.why for h in decision.held] == ["quiet"]
    assert history.events([campaign("a")], 2 * DAY) == [("opened", "a", 3)]


def test_the_budget_takes_the_worst_first_and_says_what_it_held_back() -> None:
    history = History(replace(LIMITS, first_campaigns=5, per_day=3))
    findings = [campaign(f"c{i}", i, 10 - i) for i in range(1, 6)]
    decision = history.rank(findings, 0, told_today=1)
    assert [t.id for t in decision.tell] == ["c1", "c2"]
    assert [(h.finding.id, h.why) for h in decision.held] == [(f"c{i}", "budget") for i in (3, 4, 5)]
    assert [name for _, name, _ in history.events(findings, DAY)] == [
        "c3",
        "c4",
        "c5",
    ]  # nothing is forgotten


def test_resolving_is_free_of_the_budget() -> None:
    history = History(replace(LIMITS, per_day=1, resolve_after=1))
    history.rank([campaign("a")], 0)
    decision = history.rank([campaign("b")], 1, told_today=1)
    assert [(t.event, t.id) for t in decision.tell] == [("resolved", "a")]
    assert [h.finding.id for h in decision.held] == ["b"]


def test_only_what_e_bh_tells_at_the_stated_rate_is_told() -> None:
    history = History(replace(LIMITS, false_discovery_rate=0.1))
    found = [campaign("sure", 1, false_discovery_rate=0.1), campaign("unsure", 2, false_discovery_rate=0.11)]
    assert history.events(found, 0) == [("opened", "sure", 1)]
    later = [campaign("sure", 1, false_discovery_rate=0.4), campaign("unsure", 2, false_discovery_rate=0.05)]
    assert history.events(later, 2 * DAY) == [("opened", "unsure", 1)], (
        "what was told stays open without a word"
    )
