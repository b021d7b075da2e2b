"""Rules: which findings of a ranking are told now, again, or no more. Pure functions of what is known.

A finding is told when it enters the first k and e-BH tells it at the stated false discovery rate, over the e-values
that rankings accumulate; again when its score rose by a stated step or its campaign grew
by a stated factor; resolved when it was away for a stated number of rankings. A quiet period keeps one
finding from being told twice in short order, a budget per day (UTC) keeps everybody from being flooded. What
is held back is not forgotten: it stays a candidate, and the daily digest lists it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.alerts.findings import Finding
from pipelines.mart.rows import Kind
from pipelines.settings import AlertSettings

Event = Literal["opened", "worse", "resolved"]
Why = Literal["quiet", "budget"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

STAY = 2
"""A finding that was told stays open down to this many times k: ranks near k come and go."""


@dataclass(frozen=True)
class Limits:
    """What the settings say. family_nats, worse_nats, min_score: nats. false_discovery_rate: share of what is told
    that may be ordinary, 0 to 1."""

    first_campaigns: int
    first_accounts: int
    min_score: float
    family_nats: float
    worse_nats: float
    worse_accounts: float
    quiet_ms: int
    resolve_after: int
    per_day: int
    false_discovery_rate: float = 1.0

    def first(self, kind: Kind) -> int:
        """k of a kind."""
        return self.first_campaigns if kind == "campaign" else self.first_accounts

    def stays(self, kind: Kind) -> int:
        """Place of a kind down to which what was told stays open: STAY x k."""
        return STAY * self.first(kind)


def limits(alerts: AlertSettings) -> Limits:
    """The settings as the rules read them."""
    return Limits(
        first_campaigns=alerts.first_campaigns,
        first_accounts=alerts.first_accounts,
        min_score=alerts.min_score,
        family_nats=alerts.family_nats,
        worse_nats=alerts.worse_nats,
        worse_accounts=alerts.worse_accounts,
        quiet_ms=int(alerts.quiet_hours * HOUR_MS),
        resolve_after=alerts.resolve_after,
        per_day=alerts.per_day,
        false_discovery_rate=alerts.false_discovery_rate,
    )


@dataclass(frozen=True)
class Known:
    """What was told on a subject. generation: of its last message; missed: rankings without it in a row."""

    kind: Kind
    id: str
    generation: int
    is_open: bool
    told_score: float
    told_accounts: int
    told_at_ms: int
    missed: int


@dataclass(frozen=True)
class Telling:
    """One thing to tell. finding: None when the subject left the ranking altogether."""

    event: Event
    kind: Kind
    id: str
    generation: int
    finding: Finding | None
    before: Known | None


@dataclass(frozen=True)
class Held:
    """What would have been told."""

    event: Event
    finding: Finding
    why: Why


@dataclass(frozen=True)
class Decision:
    """tell: in order of importance. held: not now. known: what is known after it, of each subject touched."""

    tell: Sequence[Telling]
    held: Sequence[Held]
    known: Sequence[Known]


def decide(
    findings: Sequence[Finding],
    known: Mapping[tuple[Kind, str], Known],
    limits: Limits,
    told_today: int,
    now_ms: int,
) -> Decision:
    """What to tell of a ranking that is newer than all before.

    findings: at least the first STAY x k of each kind. told_today: openings and re-alerts of this day so far.
    Resolutions are free of the budget. Campaigns come before accounts, the worst first.
    """
    present = {(f.kind, f.id): f for f in findings}
    tell: list[Telling] = []
    held: list[Held] = []
    after: list[Known] = []
    left = max(0, limits.per_day - told_today)
    for finding in sorted(findings, key=lambda f: (f.kind != "campaign", f.place)):
        before = known.get((finding.kind, finding.id))
        event = _event(finding, before, limits)
        if event is None:
            continue
        quiet = before is not None and now_ms - before.told_at_ms < limits.quiet_ms
        if quiet or not left:
            held.append(Held(event, finding, "quiet" if quiet else "budget"))
            continue
        left -= 1
        generation = 1 + (before.generation if before else 0)
        tell.append(Telling(event, finding.kind, finding.id, generation, finding, before))
        after.append(
            Known(finding.kind, finding.id, generation, True, finding.score, finding.accounts, now_ms, 0)
        )
    told = {(t.kind, t.id) for t in tell}
    for key, before in known.items():
        if not before.is_open or key in told:
            continue
        found = present.get(key)
        if found is not None and _stays(found, limits):
            missed = 0
        else:
            # What a person or the calendar ended needs no second look.
            missed = limits.resolve_after if found is not None and found.is_down else before.missed + 1
        if missed >= limits.resolve_after:
            generation = before.generation + 1
            tell.append(Telling("resolved", before.kind, before.id, generation, found, before))
            after.append(
                Known(*key, generation, False, before.told_score, before.told_accounts, now_ms, missed)
            )
        elif missed != before.missed:
            after.append(
                Known(
                    *key,
                    before.generation,
                    True,
                    before.told_score,
                    before.told_accounts,
                    before.told_at_ms,
                    missed,
                )
            )
    return Decision(tell, held, after)


def _worth(finding: Finding, limits: Limits) -> bool:
    return (
        not finding.is_down
        and finding.confidence != "insufficient"
        and finding.score >= limits.min_score
        and finding.false_discovery_rate <= limits.false_discovery_rate
        and finding.has_two_families(limits.family_nats)
    )


def _event(finding: Finding, before: Known | None, limits: Limits) -> Event | None:
    if finding.place > limits.first(finding.kind) or not _worth(finding, limits):
        return None
    if before is None or not before.is_open:
        return "opened"
    is_worse = finding.score >= before.told_score + limits.worse_nats
    is_larger = (
        finding.kind == "campaign" and finding.accounts >= before.told_accounts * limits.worse_accounts
    )
    return "worse" if is_worse or is_larger else None


def _stays(finding: Finding, limits: Limits) -> bool:
    return not finding.is_down and finding.place <= limits.stays(finding.kind)
