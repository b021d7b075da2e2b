"""History ranked again, day by day, under settings of today and under new ones: what would have been different.

Belongs here: the rankings, and the measures that compare them. Verdicts do not enter these rankings (they would push
down what they are about to judge); they judge them. Whom people would be told of is what the rules of alerts decide
under either settings, ranking after ranking; e-values begin to accumulate with the first day of the range. Not here:
showing it (`pipelines.cli.backtest`).
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.alerts.findings import Finding, read_ranking
from pipelines.alerts.rules import Decision, Known, Limits, decide, limits
from pipelines.lake.tables import Lake
from pipelines.mart.labels import Verdict
from pipelines.mart.open import open_mart
from pipelines.mart.rows import Kind
from pipelines.rank.run import run
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace
from pipelines.settings import Settings, changed, settings_hash

DAY_MS = 86_400_000
Subject = tuple[str, str]
_HARVEST = ("true_positive", "suspicious")
_ORDINARY = ("false_positive", "benign", "duplicate")


@dataclass(frozen=True)
class Standing:
    """The first of a ranking. inside: rank by subject (kind, id), the first k accounts outside campaigns and the
    first k campaigns. members: accounts of those campaigns."""

    inside: dict[Subject, int]
    members: dict[str, set[str]]


@dataclass(frozen=True)
class Side:
    """One set of settings on one day. opened, worse, resolved: alerts that people would get. held: those that the quiet
    period or the day's budget holds back.

    precision: of the labelled subjects inside, the share with a verdict of harvest; null without any.
    """

    campaigns: int
    inside: int
    opened: int
    worse: int
    resolved: int
    held: int
    labelled: int
    precision: float | None


@dataclass(frozen=True)
class Day:
    """One day under both. entered, left: subjects inside under the new settings only, under today's only."""

    as_of_ms: int
    today: Side
    new: Side
    entered: list[Subject]
    left: list[Subject]


@dataclass(frozen=True)
class Backtest:
    """Every day in order. k: how many of each kind count as inside. settings: hash of either; changed: values of those
    that differ, by name."""

    k: int
    days: list[Day]
    settings: tuple[str, str]
    changed: dict[str, tuple[Any, Any]]

    def load(self, which: str) -> float | None:
        """Alerts per day, openings and worsenings; the first day is left out, for there everything is new. None for a
        single day."""
        later: list[Side] = [getattr(day, which) for day in self.days[1:]]
        return sum(side.opened + side.worse for side in later) / len(later) if later else None

    def precision(self, which: str) -> float | None:
        """Over all days; null without labels."""
        sides: list[Side] = [getattr(day, which) for day in self.days]
        labelled = sum(side.labelled for side in sides)
        return sum((side.precision or 0) * side.labelled for side in sides) / labelled if labelled else None


def backtest(
    lake: Lake,
    since_ms: int,
    until_ms: int,
    today: Settings,
    new: Settings,
    verdicts: list[Verdict],
    k: int = 20,
    on_day: Callable[[Day], None] = lambda day: None,
) -> Backtest:
    """Rank as of the end of every day that ends after since_ms and not after until_ms, twice.

    Raises ScarecrowError as a ranking does, and for a range without a single day.
    """
    judged = {(v.subject_kind, v.subject_id): v.verdict for v in sorted(verdicts, key=lambda v: v.at_ms)}
    days: list[Day] = []
    with tempfile.TemporaryDirectory(prefix="scarecrow-backtest-") as folder:
        people = _People(limits(today.alerts)), _People(limits(new.alerts))
        for as_of_ms in ends(since_ms, until_ms):
            now = (
                _rank(lake, Path(folder) / "today.duckdb", as_of_ms, today, k, people[0].limits),
                _rank(lake, Path(folder) / "new.duckdb", as_of_ms, new, k, people[1].limits),
            )
            sides = [
                _side(standing, told.hear(findings, as_of_ms), judged)
                for told, (standing, findings) in zip(people, now, strict=True)
            ]
            entered, left = differences(now[0][0], now[1][0])
            days.append(Day(as_of_ms, sides[0], sides[1], entered, left))
            on_day(days[-1])
    return Backtest(k, days, (settings_hash(today), settings_hash(new)), changed(today, new))


def ends(since_ms: int, until_ms: int) -> Iterator[int]:
    """Ends of days (UTC) after since_ms, up to until_ms."""
    yield from range((since_ms // DAY_MS + 1) * DAY_MS, until_ms + 1, DAY_MS)


def differences(today: Standing, new: Standing) -> tuple[list[Subject], list[Subject]]:
    """Subjects inside under one only. Campaigns are the same when they share at least half of the smaller's members,
    whatever they are called."""

    def lacks(subject: Subject, own: Standing, other: Standing) -> bool:
        if subject in other.inside:
            return False
        if subject[0] == "account":
            # It may stand there as a member of a campaign that is inside.
            return not any(subject[1] in members for members in other.members.values())
        mine = own.members[subject[1]]
        return not any(
            2 * len(mine & members) >= min(len(mine), len(members)) for members in other.members.values()
        )

    entered = sorted(s for s in new.inside if lacks(s, new, today))
    left = sorted(s for s in today.inside if lacks(s, today, new))
    return entered, left


def _rank(
    lake: Lake, mart: Path, as_of_ms: int, settings: Settings, k: int, bars: Limits
) -> tuple[Standing, Sequence[Finding]]:
    """The first of a ranking, and what of it may be told."""
    workspace = Workspace.beside(mart, "backtest", {})
    run(Ranking.under(settings, lake, mart, workspace, as_of_ms, with_labels=False))
    with open_mart(str(mart)) as opened:
        campaigns = opened.rows("SELECT campaign_id, rank FROM suspect_campaigns WHERE rank <= ?", k)
        accounts = opened.rows(
            "SELECT account_id, row_number() OVER (ORDER BY rank) FROM suspect_accounts WHERE campaign_id IS NULL "
            "QUALIFY row_number() OVER (ORDER BY rank) <= ?",
            k,
        )
        pairs = opened.rows(
            "SELECT campaign_id, account_id FROM campaign_members SEMI JOIN "
            "(SELECT campaign_id FROM suspect_campaigns WHERE rank <= ?) USING (campaign_id)",
            k,
        )
        findings = read_ranking(opened, bars.stays("campaign"), bars.stays("account")).findings
    members: dict[str, set[str]] = {}
    for campaign, account in pairs:
        members.setdefault(campaign, set()).add(account)
    inside: dict[Subject, int] = {("campaign", name): rank for name, rank in campaigns}
    inside |= {("account", name): rank for name, rank in accounts}
    return Standing(inside, members), findings


@dataclass
class _People:
    """Who was told what under one set of settings, as the outbox of alerts would remember it."""

    limits: Limits
    known: dict[tuple[Kind, str], Known] = field(default_factory=dict)

    def hear(self, findings: Sequence[Finding], now_ms: int) -> Decision:
        """What they are told of the day's one ranking."""
        decision = decide(findings, self.known, self.limits, 0, now_ms)
        self.known |= {(known.kind, known.id): known for known in decision.known}
        return decision


def _side(now: Standing, decision: Decision, judged: Mapping[Subject, str]) -> Side:
    """Accounts count by their own verdict, members of campaigns inside too; campaigns by theirs."""
    covered: set[Subject] = set(now.inside) | {
        ("account", account) for members in now.members.values() for account in members
    }
    verdicts = [judged[subject] for subject in covered if subject in judged]
    harvest = sum(verdict in _HARVEST for verdict in verdicts)
    labelled = harvest + sum(verdict in _ORDINARY for verdict in verdicts)
    told = Counter(telling.event for telling in decision.tell)
    return Side(
        len(now.members),
        len(now.inside),
        told["opened"],
        told["worse"],
        told["resolved"],
        len(decision.held),
        labelled,
        harvest / labelled if labelled else None,
    )
