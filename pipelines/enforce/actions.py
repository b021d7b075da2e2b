"""The ladder of actions, and an entry of the feed."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pipelines.mart.rows import Kind

Action = Literal["none", "watch", "verify_identity", "rate_limit", "vary_outputs", "review", "suspend"]
Appeal = Literal["none", "open", "granted", "rejected", "withdrawn"]

LADDER: Final[tuple[Action, ...]] = (
    "none", "watch", "verify_identity", "rate_limit", "vary_outputs", "review", "suspend",
)  # fmt: skip
"""From mild to hard. An action includes those below it: what is varied is rate-limited too."""

WATCH, RATE_LIMIT, REVIEW, SUSPEND = (LADDER.index(a) for a in ("watch", "rate_limit", "review", "suspend"))


@dataclass(frozen=True)
class Entry:
    """An action in force. version: of the feed, when the entry last changed. requests_per_day: from
    rate_limit to review; None for a suspension, which lets nothing through.

    since_ms: since when this action; expires_at_ms: a gateway drops the entry then, whatever happens to the
    feed. as_of_ms: the ranking that it rests on. is_dry_run: a proposal that must not be carried out.
    """

    version: int
    subject_kind: Kind
    subject_id: str
    action: Action
    requests_per_day: int | None
    reason: str
    reason_codes: list[str]
    score: float
    campaign_id: str | None
    since_ms: int
    expires_at_ms: int
    appeal: Appeal
    is_dry_run: bool
    as_of_ms: int

    @property
    def level(self) -> int:
        """Place on the ladder."""
        return LADDER.index(self.action)

    @property
    def key(self) -> str:
        """Key of the compacted topic."""
        return f"{self.subject_kind}:{self.subject_id}"

    def row(self) -> dict[str, Any]:
        """As a JSON object: the schema of the feed."""
        return asdict(self)
