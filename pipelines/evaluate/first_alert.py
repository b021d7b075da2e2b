"""How much of a harvest was gone before the first alert, from rankings made as of several moments.

Belongs here: joining a history of ranks with what each campaign bought per day. Making that history (one
ranking per day with `rank --as-of`) is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

MEMBERS = 3
"""members of a campaign among the first ranks that make an alert (fewer where it has fewer)"""


@dataclass(frozen=True)
class FirstAlert:
    """First alert of one planted campaign; `at` is None when there was none, and all of it was gone."""

    campaign_id: str
    strategy: str
    at: datetime | None
    share_gone: float
    exchanges_gone: int


def bought_before(by_day: Sequence[int], start: datetime, moment: datetime) -> float:
    """Exchanges bought before `moment`: whole days, and the day under way in proportion."""
    days = (moment - start) / timedelta(days=1)
    whole = max(0, min(len(by_day), int(days)))
    part = by_day[whole] * (days - whole) if 0 <= days < len(by_day) else 0.0
    return float(sum(by_day[:whole]) + part)


def first_alerts(
    history: pl.DataFrame, accounts: pl.DataFrame, campaigns: pl.DataFrame, start: datetime, first: int
) -> list[FirstAlert]:
    """The first alert of every planted campaign.

    history: as_of, account_id, rank, of at least one ranking. accounts, campaigns: as in the truth.
    first: a rank up to this one is an alert.
    """
    alerted = (
        history.filter(pl.col("rank") <= first)
        .join(accounts.select("account_id", "campaign_id").drop_nulls(), on="account_id")
        .group_by("campaign_id", "as_of")
        .len()
    )
    rows = []
    for campaign in campaigns.iter_rows(named=True):
        by_day = campaign["harvest_requests_by_day"]
        if by_day is None:
            continue
        needed = min(MEMBERS, campaign["accounts"])
        moments = alerted.filter(
            (pl.col("campaign_id") == campaign["campaign_id"]) & (pl.col("len") >= needed)
        )["as_of"]
        at = moments.min()
        total = sum(by_day)
        gone = float(total) if not isinstance(at, datetime) else bought_before(by_day, start, at)
        rows.append(
            FirstAlert(
                campaign_id=campaign["campaign_id"],
                strategy=campaign["strategy"],
                at=at if isinstance(at, datetime) else None,
                share_gone=gone / total if total else 0.0,
                exchanges_gone=round(gone),
            )
        )
    return rows
