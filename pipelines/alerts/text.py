"""Text of notices for people: one headline and some lines, every bit of it inert.

Belongs here: wording that Slack, e-mail and PagerDuty share. Ids, causes and labels come from the log or from
people; they pass through `shown`. Not here: the escaping of a format (HTML, Slack), which its channel adds.
"""

import shlex
from datetime import UTC, datetime

from pipelines.alerts.notice import Alert, Digest, Mention, Notice
from pipelines.mart.words import family_name
from pipelines.report.inert import terminal

ID_LENGTH = 80
TEXT_LENGTH = 240
_MENTIONS = 20

_EVENTS = {"opened": "New", "worse": "Worse", "resolved": "Resolved"}
_WHY = {"quiet": "told less than the quiet period ago", "budget": "over the day's budget"}


def shown(text: str, limit: int = TEXT_LENGTH) -> str:
    """One line of at most `limit` characters without control, bidirectional or invisible characters."""
    line = terminal(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def headline(notice: Notice) -> str:
    """One line; starts with our own word, never with text from the log."""
    if isinstance(notice, Digest):
        counts = f"{len(notice.told)} told, {len(notice.held)} held back"
        return f"Daily digest of {_day(notice.told_at_ms)}: {counts}"
    score = "" if notice.score is None else f", score {notice.score:.1f}"
    place = "" if notice.place is None or notice.event == "resolved" else f", rank {notice.place}"
    return f"{_EVENTS[notice.event]} {notice.kind}: {shown(notice.id, ID_LENGTH)}{place}{score}"


def lines(notice: Notice) -> list[str]:
    """What follows the headline, one fact or reason per line."""
    return _digest_lines(notice) if isinstance(notice, Digest) else _alert_lines(notice)


def _alert_lines(a: Alert) -> list[str]:
    if a.event == "resolved":
        said = f"It is no longer among the first of the ranking as of {_moment(a.as_of_ms)}."
        return [said, *([f"Verdict: {shown(a.label)}."] if a.label else [])]
    facts = []
    if a.score is not None and a.event == "worse" and a.previous_score is not None:
        facts.append(f"The score rose from {a.previous_score:.1f} to {a.score:.1f}.")
    if a.kind == "campaign" and a.accounts is not None and a.requests is not None:
        facts.append(
            f"{a.accounts:,} accounts, {a.requests:,} calls, {a.completion_tokens or 0:,} tokens taken."
        )
    elif a.requests is not None:
        facts.append(f"{a.requests:,} calls.")
    if a.first_seen_ms is not None and a.last_seen_ms is not None:
        facts.append(f"Seen from {_moment(a.first_seen_ms)} to {_moment(a.last_seen_ms)}.")
    facts.append(f"Confidence: {shown(a.confidence or 'unknown')}; as of {_moment(a.as_of_ms)}.")
    for reason in a.reasons:
        if reason.contribution > 0:
            peers = f" (peers: {shown(reason.peers)})" if reason.peers else ""
            facts.append(
                f"{family_name(shown(reason.family, 40))}: {shown(reason.says)}: {shown(reason.seen)}{peers};"
                f" +{reason.contribution:.2f}."
            )
    causes = dict.fromkeys(
        shown(r.ordinary_cause) for r in a.reasons if r.contribution > 0 and r.ordinary_cause
    )
    if causes:
        facts.append("What would explain it innocently: " + "; ".join(list(causes)[:3]) + ".")
    name = terminal(a.id)
    if len(name) <= ID_LENGTH:
        facts.append(f"Next: scarecrow explain --kind {a.kind} -- {shlex.quote(name)}")
    return facts


def _digest_lines(d: Digest) -> list[str]:
    found = [f"{d.open_findings:,} findings are open; the newest ranking is as of {_moment(d.as_of_ms)}."]
    found += [_mention(m) for m in d.told[:_MENTIONS]]
    if len(d.told) > _MENTIONS:
        found.append(f"... and {len(d.told) - _MENTIONS:,} more told.")
    if d.held:
        found.append(f"Held back: {len(d.held):,}.")
        found += [_mention(m) for m in d.held[:_MENTIONS]]
        if len(d.held) > _MENTIONS:
            found.append(f"... and {len(d.held) - _MENTIONS:,} more held back.")
    if d.waiting or d.given_up:
        found.append(f"Deliveries: {d.waiting:,} waiting, {d.given_up:,} given up.")
    return found


def _mention(m: Mention) -> str:
    why = f" ({_WHY.get(m.why, shown(m.why))})" if m.why else ""
    return f"{_EVENTS.get(m.event, 'Known')} {m.kind}: {shown(m.id, ID_LENGTH)}, score {m.score:.1f}{why}"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
