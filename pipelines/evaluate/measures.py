"""Figures over one ranking: average precision, precision at k, ranks, by strategy and by ordinary class.

Scores are float64 arrays aligned with the accounts of the truth, higher = more suspect, -inf = not ranked.
Ties count as their expectation over a random order, so a baseline of whole numbers gains nothing from luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
AT = (10, 50, 100)


def average_precision(scores: Scores, positive: Mask) -> float:
    """Area under precision over recall, as a step function (scikit-learn); NaN without positives."""
    if not positive.any():
        return float("nan")
    finite = np.isfinite(scores)
    lowest = scores[finite].min() if finite.any() else 0.0
    return float(average_precision_score(positive, np.where(finite, scores, lowest - 1.0)))


def precision_at(scores: Scores, positive: Mask, k: int) -> float:
    """Expected share of positives among the first k, ties in random order."""
    k = min(k, len(scores))
    if k == 0:
        return float("nan")
    order = np.sort(scores)[::-1]
    edge = order[k - 1]
    above = scores > edge
    tied = scores == edge
    places = k - int(above.sum())
    return float((positive[above].sum() + places * positive[tied].mean()) / k)


def ranks(scores: Scores) -> Scores:
    """1 = most suspect; ties share their mean rank."""
    return np.asarray(rankdata(-scores, method="average"), dtype=np.float64)


@dataclass(frozen=True)
class StrategyQuality:
    """How one strategy's accounts stand against all ordinary ones (other campaigns' accounts left out)."""

    strategy: str
    accounts: int
    average_precision: float
    recall: float
    """share of its accounts among the first n of the whole ranking, n = number of harvesting accounts"""
    median_rank: float
    """in the whole ranking"""


@dataclass(frozen=True)
class RankingQuality:
    """Figures of one ranking. precision_at: by k."""

    name: str
    average_precision: float
    precision_at: dict[int, float]
    worst_strategy: str
    worst_average_precision: float
    strategies: list[StrategyQuality]


def ranking_quality(name: str, scores: Scores, harvesting: Mask, classes: Sequence[str]) -> RankingQuality:
    """All figures of one ranking. classes: strategy or ordinary class of each account."""
    kinds = np.asarray(classes, dtype=object)
    place = ranks(scores)
    first = int(harvesting.sum())
    strategies = []
    for strategy in sorted(set(kinds[harvesting])):
        own = harvesting & (kinds == strategy)
        considered = own | ~harvesting
        strategies.append(
            StrategyQuality(
                strategy=strategy,
                accounts=int(own.sum()),
                average_precision=average_precision(scores[considered], own[considered]),
                recall=float((place[own] <= first).mean()),
                median_rank=float(np.median(place[own])),
            )
        )
    worst = min(strategies, key=lambda quality: quality.average_precision, default=None)
    return RankingQuality(
        name=name,
        average_precision=average_precision(scores, harvesting),
        precision_at={k: precision_at(scores, harvesting, k) for k in AT},
        worst_strategy=worst.strategy if worst else "",
        worst_average_precision=worst.average_precision if worst else float("nan"),
        strategies=strategies,
    )


@dataclass(frozen=True)
class ClassAlarms:
    """False alarms of one ordinary class.

    alarms: accounts among the first n of the ranking, n = number of harvesting accounts.
    in_first_campaigns: accounts in the first ten campaigns.
    """

    name: str
    accounts: int
    alarms: int
    best_rank: float
    in_first_campaigns: int


def class_alarms(
    scores: Scores, harvesting: Mask, classes: Sequence[str], in_first_campaigns: Mask
) -> list[ClassAlarms]:
    """Every ordinary class, the one with the most alarms per account first."""
    kinds = np.asarray(classes, dtype=object)
    place = ranks(scores)
    first = int(harvesting.sum())
    rows = []
    for name in sorted(set(kinds[~harvesting])):
        own = ~harvesting & (kinds == name)
        rows.append(
            ClassAlarms(
                name=name,
                accounts=int(own.sum()),
                alarms=int((place[own] <= first).sum()),
                best_rank=float(place[own].min()),
                in_first_campaigns=int((own & in_first_campaigns).sum()),
            )
        )
    return sorted(rows, key=lambda row: (-row.alarms / row.accounts, row.best_rank))
