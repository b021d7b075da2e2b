"""The whole evaluation of one ranking: `evaluate` over tables, `evaluate_mart` over files.

Belongs here: which figures there are and how they are put together. How each is computed is in measures,
campaigns, baselines, first_alert and ablation; how they look on a terminal is the command's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.evaluate.ablation import FamilyWorth, ablate
from pipelines.evaluate.baselines import isolation_forest, volume
from pipelines.evaluate.campaigns import (
    CampaignQuality,
    FirstCampaign,
    FoundCampaign,
    benign_share,
    campaign_quality,
    first_campaigns,
)
from pipelines.evaluate.first_alert import FirstAlert, first_alerts
from pipelines.evaluate.measures import (
    ClassAlarms,
    Mask,
    RankingQuality,
    Scores,
    class_alarms,
    ranking_quality,
)
from pipelines.evaluate.tables import Found, Truth, check_match, read_found, read_truth

RANKING = "scarecrow"


@dataclass(frozen=True)
class Evaluation:
    """Figures of METHOD section 8.

    rankings: the ranking under test first, then the baselines.
    unranked: accounts of the truth that the ranking does not have (they count as least suspect).
    """

    accounts: int
    harvesting: int
    unranked: int
    rankings: list[RankingQuality]
    campaigns: list[CampaignQuality]
    first_campaigns: list[FirstCampaign]
    benign_share_of_first: float | None
    classes: list[ClassAlarms]
    first_alerts: list[FirstAlert]
    families: list[FamilyWorth]

    @property
    def base_rate(self) -> float:
        """Share of accounts that harvest: what a random order would reach."""
        return self.harvesting / self.accounts if self.accounts else 0.0

    @property
    def campaigns_found(self) -> int:
        """Planted campaigns of which most is in one found campaign that is mostly it."""
        return sum(campaign.is_found for campaign in self.campaigns)

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON; what does not exist is null."""
        content = asdict(self) | {"base_rate": self.base_rate, "campaigns_found": self.campaigns_found}
        return _plain(content)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value


def _aligned(truth: Truth, scores: pl.DataFrame) -> Scores:
    """Scores (account_id, score) in the order of the truth; -inf for accounts that have none."""
    joined = truth.accounts.join(
        scores.select("account_id", "score"), on="account_id", how="left", maintain_order="left"
    )
    return joined["score"].cast(pl.Float64).fill_null(-np.inf).to_numpy()


def _by_rank(accounts: pl.DataFrame) -> pl.DataFrame:
    return accounts.select("account_id", (-pl.col("rank").cast(pl.Float64)).alias("score"))


def _found_campaigns(found: Found) -> list[FoundCampaign]:
    members = found.members.group_by("campaign_id").agg("account_id")
    joined = found.campaigns.join(members, on="campaign_id", how="left").sort("rank")
    return [
        FoundCampaign(row["campaign_id"], row["rank"], frozenset(row["account_id"] or ()))
        for row in joined.iter_rows(named=True)
    ]


def evaluate(
    found: Found,
    truth: Truth,
    *,
    name: str = RANKING,
    with_baselines: bool = True,
    with_ablation: bool = False,
) -> Evaluation:
    """All figures of what was found against the truth.

    Raises ScarecrowError when the ranking and the truth have no account in common.
    """
    check_match(found.accounts, truth, "the ranking")
    harvesting: Mask = truth.accounts["is_harvesting"].to_numpy()
    classes: Sequence[str] = truth.accounts["class"].to_list()
    scores = _aligned(truth, _by_rank(found.accounts))
    rankings = [ranking_quality(name, scores, harvesting, classes)]
    if with_baselines and not found.profiles.is_empty():
        for title, table in (
            ("request volume", volume(found.profiles)),
            ("isolation forest", isolation_forest(found.profiles)),
        ):
            rankings.append(ranking_quality(title, _aligned(truth, table), harvesting, classes))

    campaigns = _found_campaigns(found)
    ids = truth.accounts["account_id"].to_list()
    first = first_campaigns(
        campaigns,
        dict(zip(ids, classes, strict=True)),
        frozenset(truth.accounts.filter("is_harvesting")["account_id"]),
    )
    shown = {row.campaign_id for row in first}
    in_first = frozenset[str]().union(*(c.members for c in campaigns if c.campaign_id in shown))
    return Evaluation(
        accounts=len(ids),
        harvesting=int(harvesting.sum()),
        unranked=int(np.isneginf(scores).sum()),
        rankings=rankings,
        campaigns=_planted(truth, campaigns),
        first_campaigns=first,
        benign_share_of_first=benign_share(first),
        classes=class_alarms(scores, harvesting, classes, np.array([account in in_first for account in ids])),
        first_alerts=_alerts(found, truth, int(harvesting.sum())),
        families=_ablation(found, truth, harvesting) if with_ablation else [],
    )


def _planted(truth: Truth, found: Sequence[FoundCampaign]) -> list[CampaignQuality]:
    members = dict(
        truth.accounts.filter(pl.col("is_harvesting") & pl.col("campaign_id").is_not_null())
        .group_by("campaign_id")
        .agg("account_id")
        .iter_rows()
    )
    return [
        campaign_quality(
            row["campaign_id"], row["strategy"], frozenset(members.get(row["campaign_id"], ())), found
        )
        for row in truth.campaigns.iter_rows(named=True)
        if members.get(row["campaign_id"])
    ]


def _alerts(found: Found, truth: Truth, first: int) -> list[FirstAlert]:
    # One ranking alone says when somebody looked, not when an alert would have come.
    if found.history["as_of"].n_unique() < 2 or truth.start is None:
        return []
    start = datetime.fromisoformat(truth.start)
    return first_alerts(found.history, truth.accounts, truth.campaigns, start, first, found.shown)


def _ablation(found: Found, truth: Truth, harvesting: Mask) -> list[FamilyWorth]:
    if found.reasons.is_empty():
        return []
    scores = _aligned(truth, found.accounts)
    lowest = scores[np.isfinite(scores)].min()
    scores = np.where(np.isfinite(scores), scores, lowest - 1.0)
    return ablate(truth.accounts["account_id"], scores, harvesting, found.reasons)


def evaluate_mart(mart: Path, truth: Path, *, with_ablation: bool = False) -> Evaluation:
    """Evaluates a mart file against a truth file.

    Raises UsageError when a file is missing or unfit, ScarecrowError when the two do not match.
    """
    return evaluate(read_found(mart), read_truth(truth), with_ablation=with_ablation)
