"""Rows of the mart as typed values. Column meanings are in schemas.mart; names are the same."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Kind = Literal["account", "campaign"]


@dataclass(frozen=True)
class Suspect:
    """A row of suspect_accounts."""

    as_of: datetime
    rank: int
    account_id: str
    score: float
    p_value: float | None
    campaign_id: str | None
    requests: int
    first_seen: datetime
    last_seen: datetime
    reasons: list[str]
    confidence: str
    label: str | None
    state: str
    log_e: float
    false_discovery_rate: float


@dataclass(frozen=True)
class Campaign:
    """A row of suspect_campaigns."""

    as_of: datetime
    rank: int
    campaign_id: str
    score: float
    accounts: int
    requests: int
    completion_tokens: int
    first_seen: datetime
    last_seen: datetime
    growth_7d: float | None
    reasons: list[str]
    confidence: str
    label: str | None
    state: str
    log_e: float
    false_discovery_rate: float
    prompts_taken: float
    list_size: float | None
    list_size_low: float
    list_size_high: float | None
    share_taken: float | None
    share_taken_low: float
    share_taken_high: float


@dataclass(frozen=True)
class CampaignEvent:
    """A row of campaign_events."""

    as_of: datetime
    campaign_id: str
    event: str
    other_id: str | None
    accounts: int


@dataclass(frozen=True)
class Member:
    """A member of a campaign with its own rank."""

    account_id: str
    membership: float
    joined_at: datetime
    rank: int
    score: float
    requests: int


@dataclass(frozen=True)
class Reason:
    """A row of account_reasons or campaign_reasons."""

    family: str
    reason: str
    value: float | None
    peer_median: float | None
    peer_percentile: float | None
    contribution: float
    ordinary_cause: str


@dataclass(frozen=True)
class Link:
    """What ties an account to another one. rank: of the other account."""

    other: str
    kind: str
    weight: float
    evidence: str
    rank: int | None


@dataclass(frozen=True)
class Activity:
    """Calls of one day."""

    day: date
    requests: int


@dataclass(frozen=True)
class Label:
    """A verdict that a person gave."""

    verdict: str
    author: str
    reason: str
    at: datetime
    until: datetime | None


@dataclass(frozen=True)
class Source:
    """A row of sources."""

    source: str
    app_id: str
    committed: int
    end_position: int | None
    lag_records: int | None
    lag_seconds: float | None
    newest_event_time: datetime | None
    records: int
    rejects: int
    duplicates: int
    lost_records: int | None
    missing_fields: list[str]
    unavailable_reasons: list[str]


@dataclass(frozen=True)
class Run:
    """A row of runs."""

    as_of: datetime
    horizon_days: float
    code_version: str
    map_version: str
    settings_hash: str
    lake_version: int
    account_hours: int
    accounts: int
    campaigns: int
    links: int
    seconds: float
