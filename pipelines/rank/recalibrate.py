"""Labels move the weights of the evidence families: a proposal, never applied by itself.

Each labelled account gives the nats that every family added to it. The weights are the maximum a posteriori of a
logistic regression of the verdict on those nats, with a normal prior around 1 (standard deviation PRIOR_SD) and
bounds. A family moves only with at least MIN_LABELS labels of either side that it says something about; others keep
their weight. A labelled campaign counts once, by the median of its members, so that one verdict is one observation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipelines.mart.open import Mart
from schemas.mart import FAMILIES

MIN_LABELS: Final = 20
PRIOR_SD: Final = 0.35
LEAST: Final = 0.25
MOST: Final = 2.0
_HARVEST: Final = ("true_positive", "suspicious")
_ORDINARY: Final = ("false_positive", "benign")


@dataclass(frozen=True)
class Proposed:
    """One family. before, after: weights. harvest, ordinary: labels on each side that it says something about."""

    family: str
    before: float
    after: float
    harvest: int
    ordinary: int
    says: str


@dataclass(frozen=True)
class Proposal:
    """New weights. labels: how many verdicts they rest on. moves: subjects whose rank changes most, (kind, id, rank
    before, rank after)."""

    families: list[Proposed]
    labels: int
    moves: list[tuple[str, str, int, int]]

    @property
    def weights(self) -> dict[str, float]:
        """By family, those that differ from 1."""
        return {p.family: p.after for p in self.families if p.after != 1}

    @property
    def changes(self) -> bool:
        """Whether any weight would change."""
        return any(p.before != p.after for p in self.families)


def propose(mart: Mart, min_labels: int = MIN_LABELS) -> Proposal:
    """What the labels of a mart make of the weights that it was ranked with."""
    before = dict(mart.rows("SELECT family, weight FROM family_weights"))
    nats, is_harvest = _observations(mart, before)
    harvest = (nats[is_harvest] != 0).sum(axis=0)
    ordinary = (nats[~is_harvest] != 0).sum(axis=0)
    free = (harvest >= min_labels) & (ordinary >= min_labels)
    start = np.array([before.get(family, 1.0) for family in FAMILIES])
    after = fit(nats, is_harvest, start, free) if free.any() else start
    after = np.where(free, np.round(after, 2), start)
    families = [
        Proposed(
            family, float(start[i]), float(after[i]), int(harvest[i]), int(ordinary[i]),
            "moves with the labels" if free[i] else f"stays: needs {min_labels} labels of either side",
        )
        for i, family in enumerate(FAMILIES)
    ]  # fmt: skip
    factor = {family: after[i] / start[i] if start[i] else 1.0 for i, family in enumerate(FAMILIES)}
    return Proposal(families, len(is_harvest), _moves(mart, factor))


def fit(
    nats: NDArray[np.float64],
    is_harvest: NDArray[np.bool_],
    start: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Weights, float64[families]. nats: float64[labels, families], unweighted; free: bool[families] that may move."""
    target = np.where(is_harvest, 1.0, -1.0)
    fixed = nats[:, ~free] @ start[~free]

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, intercept = theta[:-1], theta[-1]
        margin = target * (nats[:, free] @ weights + fixed + intercept)
        pull = -target / (1 + np.exp(np.clip(margin, -60, 60)))
        away = (weights - 1) / PRIOR_SD**2
        value = np.logaddexp(0, -margin).sum() + 0.5 * np.sum((weights - 1) ** 2) / PRIOR_SD**2
        return float(value), np.append(nats[:, free].T @ pull + away, pull.sum())

    found = minimize(
        loss, np.append(start[free], 0.0), jac=True, method="L-BFGS-B",
        bounds=[(LEAST, MOST)] * int(free.sum()) + [(None, None)],
    )  # fmt: skip
    weights = start.copy()
    weights[free] = found.x[:-1]
    return weights


def _observations(mart: Mart, weights: Mapping[str, float]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unweighted nats by family of every labelled subject, and its side."""
    rows = mart.rows(
        """
        WITH judged AS (
            SELECT subject_kind, subject_id, verdict FROM labels
            WHERE until IS NULL OR until > (SELECT max(as_of) FROM runs)
            QUALIFY row_number() OVER (PARTITION BY subject_kind, subject_id ORDER BY "at" DESC) = 1
        ),
        by_account AS (
            SELECT id, family, sum(contribution) AS nats FROM account_reasons GROUP BY id, family
        ),
        seen AS (
            SELECT j.subject_kind, j.subject_id, j.verdict, b.family, b.nats
            FROM judged AS j JOIN by_account AS b ON j.subject_kind = 'account' AND b.id = j.subject_id
            UNION ALL
            SELECT j.subject_kind, j.subject_id, j.verdict, b.family, median(b.nats)
            FROM judged AS j JOIN campaign_members AS m ON j.subject_kind = 'campaign' AND m.campaign_id = j.subject_id
            JOIN by_account AS b ON b.id = m.account_id
            GROUP BY j.subject_kind, j.subject_id, j.verdict, b.family
        )
        SELECT subject_kind, subject_id, verdict, family, nats FROM seen ORDER BY ALL"""
    )
    place = {family: i for i, family in enumerate(FAMILIES)}
    found: dict[tuple[str, str], tuple[bool, NDArray[np.float64]]] = {}
    for kind, subject, verdict, family, value in rows:
        if verdict not in _HARVEST + _ORDINARY or not weights.get(family, 1.0):
            continue
        entry = found.setdefault((kind, subject), (verdict in _HARVEST, np.zeros(len(FAMILIES))))
        entry[1][place[family]] = value / weights.get(family, 1.0)
    nats = np.array([entry[1] for entry in found.values()]).reshape(len(found), len(FAMILIES))
    return nats, np.array([entry[0] for entry in found.values()], dtype=np.bool_)


def _moves(mart: Mart, factor: Mapping[str, float], most: int = 20) -> list[tuple[str, str, int, int]]:
    """Of the first 1,000 accounts and every campaign, those whose rank would change most."""
    found: list[tuple[str, str, int, int]] = []
    for kind, query in (
        ("account", "SELECT a.rank, a.account_id, a.state, r.family, sum(r.contribution) FROM suspect_accounts AS a "
         "LEFT JOIN account_reasons AS r ON r.id = a.account_id WHERE a.rank <= 1000 GROUP BY ALL"),
        ("campaign", "SELECT a.rank, a.campaign_id, a.state, r.family, sum(r.contribution) FROM suspect_campaigns AS a "
         "LEFT JOIN campaign_reasons AS r ON r.id = a.campaign_id GROUP BY ALL"),
    ):  # fmt: skip
        ranks: dict[str, int] = {}
        down: dict[str, bool] = {}
        score: dict[str, float] = {}
        for rank, subject, state, family, nats in mart.rows(query):
            ranks[subject], down[subject] = rank, state == "suppressed"
            score[subject] = score.get(subject, 0.0) + (nats or 0.0) * factor.get(family, 1.0)
        order = sorted(ranks, key=lambda s: (down[s], -round(score[s], 9), ranks[s]))
        found += [(kind, s, ranks[s], place) for place, s in enumerate(order, 1) if ranks[s] != place]
    return sorted(found, key=lambda m: (-abs(m[2] - m[3]), m[0], m[2]))[:most]
