"""Policy: which action a subject gets. Pure functions of ranking, verdicts, appeals and what is in force.

Rules, in order: what a person found innocent, or whose appeal was granted, has no action. A person's
true_positive suspends, on the very subject that it names. Otherwise the score decides, with hysteresis: up at
once, down only when the score fell well below and the action stood for a while. Without two evidence families
(METHOD 6.3) nothing goes beyond `watch`; without a person nothing goes beyond `review`. An open appeal
stops every rise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.enforce.actions import LADDER, RATE_LIMIT, REVIEW, SUSPEND, WATCH, Appeal, Entry
from pipelines.enforce.subjects import Subject, Subjects, reason_text
from pipelines.report.inert import terminal

HOUR_MS = 3_600_000
STAY = 2
"""An action is kept up to this many times the p-value from which it is taken."""
_INNOCENT = ("false_positive", "benign", "duplicate")


@dataclass(frozen=True)
class Policy:
    """What the settings say. thresholds: scores in nats of watch, ..., review, ascending."""

    thresholds: tuple[float, ...]
    hysteresis_nats: float
    hold_ms: int
    expiry_ms: int
    max_p: float
    membership: float
    rate_floor: int
    is_dry_run: bool


def grade_all(
    subjects: Subjects,
    before: Mapping[str, Entry],
    appeals: Mapping[str, Appeal],
    policy: Policy,
    now_ms: int,
) -> list[Entry]:
    """The entries in force after a ranking, versions not yet counted (0). before, appeals: by Entry.key."""
    entries = []
    campaigns: dict[str, int] = {}
    for campaign in subjects.campaigns:
        entry = _graded(campaign, _own_level(campaign, policy), subjects, before, appeals, policy, now_ms)
        # A campaign's suspension is a verdict on the campaign: members get it by name only.
        level = min(entry.level, REVIEW) if entry else 0
        campaigns[campaign.id] = level
        if entry:
            entries.append(entry)
    for account in subjects.accounts:
        level = _own_level(account, policy)
        if account.campaign_id is not None and account.membership >= policy.membership:
            level = max(level, campaigns.get(account.campaign_id, 0))
        entry = _graded(account, level, subjects, before, appeals, policy, now_ms)
        if entry:
            entries.append(entry)
    seen = {f"{s.kind}:{s.id}" for s in (*subjects.campaigns, *subjects.accounts)}
    gone = [entry for key, entry in before.items() if key not in seen and appeals.get(key) != "granted"]
    return entries + [e for e in gone if now_ms < min(e.since_ms + policy.hold_ms, e.expires_at_ms)]


def still_in_force(before: Mapping[str, Entry], now_ms: int) -> list[Entry]:
    """The entries that have not expired; for a ranking that was graded before."""
    return [entry for entry in before.values() if entry.expires_at_ms > now_ms]


def _own_level(subject: Subject, policy: Policy) -> int:
    if subject.p_value > policy.max_p:
        return 0
    level = sum(subject.score >= threshold for threshold in policy.thresholds)
    if (
        not subject.has_two_families
        or subject.confidence == "insufficient"
        or subject.state == "needs_review"
    ):
        level = min(level, WATCH)
    return level


def _graded(
    subject: Subject,
    level: int,
    subjects: Subjects,
    before: Mapping[str, Entry],
    appeals: Mapping[str, Appeal],
    policy: Policy,
    now_ms: int,
) -> Entry | None:
    key = f"{subject.kind}:{subject.id}"
    held = before.get(key)
    if held is not None and held.expires_at_ms <= now_ms:
        held = None
    appeal = appeals.get(key, "none")
    level = _decided(subject, level, held, appeal, policy, now_ms)
    if level == 0:
        return None
    is_same = held is not None and held.level == level
    # Who is suspended has no calls left to limit; a verdict that is withdrawn makes a limit anew.
    limit = _limit(subject, subjects, policy) if RATE_LIMIT <= level < SUSPEND else None
    if is_same and held is not None:
        if limit is not None and held.requests_per_day is not None:
            limit = held.requests_per_day  # a limit that follows each ranking would never be met
        # Only a newer ranking renews: a feed whose rankings stop lets go.
        is_due = subjects.as_of_ms > held.as_of_ms and held.expires_at_ms - now_ms < policy.expiry_ms / 2
        expires_at_ms = now_ms + policy.expiry_ms if is_due else held.expires_at_ms
        as_of_ms = subjects.as_of_ms if is_due else held.as_of_ms
        since_ms, score, codes = held.since_ms, held.score, held.reason_codes
        reason, campaign_id = held.reason, held.campaign_id
    else:
        since_ms, expires_at_ms, as_of_ms = now_ms, now_ms + policy.expiry_ms, subjects.as_of_ms
        score, codes, campaign_id = subject.score, list(subject.reasons), subject.campaign_id
        reason = terminal(reason_text(codes))
    return Entry(
        version=0,
        subject_kind=subject.kind,
        subject_id=subject.id,
        action=LADDER[level],
        requests_per_day=limit,
        reason=reason,
        reason_codes=codes,
        score=round(score, 3),
        campaign_id=campaign_id,
        since_ms=since_ms,
        expires_at_ms=expires_at_ms,
        appeal=appeal,
        is_dry_run=policy.is_dry_run,
        as_of_ms=as_of_ms,
    )


def _decided(
    subject: Subject, level: int, held: Entry | None, appeal: Appeal, policy: Policy, now_ms: int
) -> int:
    if subject.label in _INNOCENT or appeal == "granted":
        return 0
    last = held.level if held is not None else 0
    if subject.label == "true_positive":
        return min(last, REVIEW) if appeal == "open" else SUSPEND
    if subject.label == "insufficient_data":
        level = min(level, WATCH)
    elif subject.state == "ended":
        level = 0
    if held is not None and level < last <= REVIEW and subject.label != "insufficient_data":
        is_near = (
            subject.score >= policy.thresholds[last - 1] - policy.hysteresis_nats
            and subject.p_value <= STAY * policy.max_p
        )
        if is_near or now_ms - held.since_ms < policy.hold_ms:
            level = last
    if appeal == "open":
        level = min(level, last)
    return min(level, REVIEW)


def _limit(subject: Subject, subjects: Subjects, policy: Policy) -> int:
    """Calls per day: half of what it makes, and no more than what nine in ten ordinary accounts stay under."""
    bound = min(subject.requests_per_day / 2, subjects.ordinary_per_day or math.inf)
    return max(policy.rate_floor, math.ceil(bound))
