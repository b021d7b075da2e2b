"""What each evidence family is worth: the ranking without its contributions.

Scores are sums of contributions, so leaving a family out is a subtraction. What was found with the help of a
family (the members of a campaign) stays as it is: this measures the scoring, not the search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.evaluate.measures import Mask, Scores, average_precision


@dataclass(frozen=True)
class FamilyWorth:
    """One family: average precision of the ranking without it, and of it alone; worth = whole - without."""

    family: str
    without: float
    alone: float
    worth: float


def ablate(accounts: pl.Series, scores: Scores, harvesting: Mask, reasons: pl.DataFrame) -> list[FamilyWorth]:
    """Every family of `reasons` (account_id, family, contribution), the one worth most first."""
    whole = average_precision(scores, harvesting)
    rows = []
    for family in reasons["family"].unique().sort().to_list():
        own = reasons.filter(pl.col("family") == family).group_by("account_id").agg(pl.sum("contribution"))
        aligned = pl.DataFrame({"account_id": accounts}).join(
            own, on="account_id", how="left", maintain_order="left"
        )
        added = aligned["contribution"].fill_null(0.0).to_numpy().astype(np.float64)
        without = average_precision(scores - added, harvesting)
        rows.append(FamilyWorth(family, without, average_precision(added, harvesting), whole - without))
    return sorted(rows, key=lambda row: -row.worth)
