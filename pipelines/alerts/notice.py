"""Notices: what is told, as plain values that survive in the outbox and that every channel renders.

Belongs here: the two kinds of notice (an alert on one finding, the daily digest), their JSON, and the keys
that make a repeat recognisable. Not here: wording (`text`) and formats (`channels`). No notice holds a secret
or a prompt; ids are kept as they are, for machines must find them again, and are made inert where they are
shown.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.alerts.findings import Finding
from pipelines.alerts.rules import Event, Held, Telling
from pipelines.mart.rows import Kind
from pipelines.mart.words import told, wording

REASONS = 6
"""Reasons that an alert carries, the largest contribution first."""


@dataclass(frozen=True)
class Reason:
    """A piece of evidence. value, peer_median: None when unavailable. contribution: nats."""

    family: str
    reason: str
    says: str
    seen: str
    peers: str
    value: float | None
    peer_median: float | None
    contribution: float
    ordinary_cause: str


@dataclass(frozen=True)
class Alert:
    """One finding told. Times in epoch ms. previous_score: of the alert before, if any.

    finding fields are those of the ranking, or None where a resolved subject has left it.
    """

    event: Event
    kind: Kind
    id: str
    generation: int
    as_of_ms: int
    told_at_ms: int
    score: float | None
    previous_score: float | None
    place: int | None
    accounts: int | None
    requests: int | None
    completion_tokens: int | None
    first_seen_ms: int | None
    last_seen_ms: int | None
    confidence: str | None
    label: str | None
    state: str | None
    families: dict[str, float]
    reasons: list[Reason]

    @property
    def uid(self) -> str:
        """Names the subject in other systems, whatever its id looks like: 16 hexadecimal digits."""
        return subject_uid(self.kind, self.id)


@dataclass(frozen=True)
class Mention:
    """A line of the digest. why: of what was held back. score: nats."""

    event: str
    kind: Kind
    id: str
    score: float
    why: str | None = None


@dataclass(frozen=True)
class Digest:
    """A day of alerts. day: days since 1970 (UTC) on which it is told. open_findings: now open. waiting:
    deliveries not yet made; given_up: deliveries given up since the last digest.
    """

    day: int
    as_of_ms: int
    told_at_ms: int
    told: list[Mention]
    held: list[Mention]
    open_findings: int
    waiting: int
    given_up: int

    @property
    def uid(self) -> str:
        """The same for every digest."""
        return subject_uid("digest", "daily")

    @property
    def generation(self) -> int:
        """One digest per day."""
        return self.day


Notice = Alert | Digest


def subject_uid(kind: str, subject: str) -> str:
    """BLAKE2b-64 of kind and id, as 16 hexadecimal digits."""
    return _digest([kind, subject], 8)


def delivery_key(notice: Notice, channel: str) -> str:
    """Idempotency key of a message on a channel: 32 hex digits over subject, generation and channel."""
    subject = ["digest", "daily"] if isinstance(notice, Digest) else [notice.kind, notice.id]
    return _digest([*subject, notice.generation, channel], 16)


def _digest(parts: Sequence[object], size: int) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=size).hexdigest()


def alert(telling: Telling, as_of_ms: int, now_ms: int) -> Alert:
    """The notice of one decision."""
    finding, before = telling.finding, telling.before
    return Alert(
        event=telling.event,
        kind=telling.kind,
        id=telling.id,
        generation=telling.generation,
        as_of_ms=as_of_ms,
        told_at_ms=now_ms,
        score=finding.score if finding else None,
        previous_score=before.told_score if before else None,
        place=finding.place if finding else None,
        accounts=finding.accounts if finding else None,
        requests=finding.requests if finding else None,
        completion_tokens=finding.completion_tokens if finding else None,
        first_seen_ms=finding.first_seen_ms if finding else None,
        last_seen_ms=finding.last_seen_ms if finding else None,
        confidence=finding.confidence if finding else None,
        label=finding.label if finding else None,
        state=finding.state if finding else None,
        families=dict(finding.families) if finding else {},
        reasons=_reasons(finding) if finding else [],
    )


def mention(held: Held) -> Mention:
    """The digest's line on what was held back."""
    return Mention(held.event, held.finding.kind, held.finding.id, held.finding.score, held.why)


def _reasons(finding: Finding) -> list[Reason]:
    found = []
    for e in [e for e in finding.evidence if e.value is not None][:REASONS]:
        words = wording(e.reason)
        found.append(
            Reason(
                e.family,
                e.reason,
                words.says,
                "" if e.value is None else told(e.value, words.unit),
                "" if e.peer_median is None else told(e.peer_median, words.unit),
                e.value,
                e.peer_median,
                e.contribution,
                e.ordinary_cause,
            )
        )
    return found


def to_json(notice: Notice) -> str:
    """ASCII, so that nothing in it steers a terminal."""
    return json.dumps({"what": type(notice).__name__.lower(), **asdict(notice)}, ensure_ascii=True)


def from_json(text: str) -> Notice:
    """The inverse of to_json."""
    data: dict[str, Any] = json.loads(text)
    if data.pop("what") == "digest":
        for name in ("told", "held"):
            data[name] = [Mention(**row) for row in data[name]]
        return Digest(**data)
    data["reasons"] = [Reason(**row) for row in data["reasons"]]
    return Alert(**data)
