"""Figures over campaigns: each planted one against what was found, and what the first ten found ones are.

Belongs here: set arithmetic over members. Does not belong here: rankings of accounts (measures).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FIRST = 10
PIECE = 0.1
"""a found campaign is a piece of a planted one when it holds this share of its members (and at least two)"""


@dataclass(frozen=True)
class FoundCampaign:
    """A found campaign: id, rank (1 = most suspect), members."""

    campaign_id: str
    rank: int
    members: frozenset[str]


@dataclass(frozen=True)
class CampaignQuality:
    """One planted campaign and the found one that holds most of its members.

    recall: share of the planted members in the found one.
    purity: share of the found one's members that are planted in it.
    pieces: found campaigns that hold a good part of it; recall_of_pieces, purity_of_pieces: of all together.
    found, rank and purity are empty where nothing was found.
    """

    campaign_id: str
    strategy: str
    accounts: int
    found: str | None
    rank: int | None
    recall: float
    purity: float | None
    pieces: int
    recall_of_pieces: float
    purity_of_pieces: float | None

    @property
    def is_found(self) -> bool:
        """Most of it in one found campaign that is mostly it."""
        return self.recall >= 0.5 and (self.purity or 0.0) >= 0.5


def campaign_quality(
    campaign_id: str, strategy: str, planted: frozenset[str], found: Sequence[FoundCampaign]
) -> CampaignQuality:
    """The figures of one planted campaign; of two with equally many of its members the purer one counts."""
    overlaps = [(len(planted & other.members), other) for other in found]
    held = [(count, other) for count, other in overlaps if count > 0]
    pieces = [other for count, other in held if count >= max(2, PIECE * len(planted))]
    union = frozenset[str]().union(*(piece.members for piece in pieces))
    if not held:
        return CampaignQuality(campaign_id, strategy, len(planted), None, None, 0.0, None, 0, 0.0, None)
    count, best = max(held, key=lambda pair: (pair[0], -len(pair[1].members), -pair[1].rank))
    return CampaignQuality(
        campaign_id=campaign_id,
        strategy=strategy,
        accounts=len(planted),
        found=best.campaign_id,
        rank=best.rank,
        recall=count / len(planted),
        purity=count / len(best.members),
        pieces=len(pieces),
        recall_of_pieces=len(union & planted) / len(planted),
        purity_of_pieces=len(union & planted) / len(union) if union else None,
    )


@dataclass(frozen=True)
class FirstCampaign:
    """One of the first found campaigns and who is in it; kind: the commonest strategy or class there."""

    campaign_id: str
    rank: int
    accounts: int
    harvesting_share: float
    kind: str
    kind_share: float

    @property
    def is_benign(self) -> bool:
        """Most members do not harvest."""
        return self.harvesting_share < 0.5


def first_campaigns(
    found: Sequence[FoundCampaign], classes: Mapping[str, str], harvesting: frozenset[str], first: int = FIRST
) -> list[FirstCampaign]:
    """The first campaigns by rank. Members that the truth does not know count as class 'unknown'."""
    rows = []
    for campaign in sorted(found, key=lambda other: other.rank)[:first]:
        kinds = Counter(classes.get(member, "unknown") for member in sorted(campaign.members))
        size = max(1, len(campaign.members))
        kind, count = kinds.most_common(1)[0] if kinds else ("unknown", 0)
        share = len(campaign.members & harvesting) / size
        rows.append(
            FirstCampaign(
                campaign.campaign_id, campaign.rank, len(campaign.members), share, kind, count / size
            )
        )
    return rows


def benign_share(rows: Sequence[FirstCampaign]) -> float | None:
    """Share of benign ones among the first campaigns; None when nothing was found."""
    return sum(row.is_benign for row in rows) / len(rows) if rows else None
