"""How much of a harvest was gone before the first alert, from rankings made as of several moments.

Belongs here: joining a history of rankings with what each campaign bought per day. Making that history (one
ranking per day with `rank --as-of`) is the caller's. Two readings of an alert: some members among the first accounts,
and a campaign shown that is mostly it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

MEMBERS = 3
"""members of a campaign among the first ranks that make an alert (fewer where it has fewer)"""


PURITY = 0.5
"""share of the members of a shown campaign that make it an alert on the planted one"""


@dataclass(frozen=True)
class FirstAlert:
    """First alert of one planted campaign: `at` by ranks, `shown_at` by a campaign that the ranking shows. None when
    there was none, and all of it was gone. exchanges: bought in all."""

    campaign_id: str
    strategy: str
    at: datetime | None
    share_gone: float
    exchanges_gone: int
    shown_at: datetime | None = None
    shown_share_gone: float = 1.0
    exchanges: int = 0


def bought_before(by_day: Sequence[int], start: datetime, moment: datetime) -> float:
    """Exchanges bought before `moment`: whole days, and the day under way in proportion."""
    days = (moment - start) / timedelta(days=1)
    whole = max(0, min(len(by_day), int(days)))
    part = by_day[whole] * (days - whole) if 0 <= days < len(by_day) else 0.0
    return float(sum(by_day[:whole]) + part)


def first_alerts(
    history: pl.DataFrame,
    accounts: pl.DataFrame,
    campaigns: pl.DataFrame,
    start: datetime,
    first: int,
    shown: pl.DataFrame | None = None,
) -> list[FirstAlert]:
    """The first alert of every planted campaign.

    history: as_of, account_id, rank, of at least one ranking. accounts, campaigns: as in the truth.
    first: a rank up to this one is an alert. shown: as_of, campaign_id, account_id, the members of the campaigns that
    those rankings showed; None when not known.
    """
    first_shown = {} if shown is None else _first_shown(shown, accounts)
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
        seen = first_shown.get(campaign["campaign_id"])
        gone_then = float(total) if seen is None else bought_before(by_day, start, seen)
        rows.append(
            FirstAlert(
                campaign_id=campaign["campaign_id"],
                strategy=campaign["strategy"],
                at=at if isinstance(at, datetime) else None,
                share_gone=gone / total if total else 0.0,
                exchanges_gone=round(gone),
                shown_at=seen,
                shown_share_gone=gone_then / total if total else 0.0,
                exchanges=total,
            )
        )
    return rows


def _first_shown(shown: pl.DataFrame, accounts: pl.DataFrame) -> dict[str, datetime]:
    """By planted campaign: the first ranking that shows a campaign with at least MEMBERS of its accounts, which are
    at least PURITY of that campaign."""
    found = (
        shown.join(
            accounts.select("account_id", pl.col("campaign_id").alias("planted")), on="account_id", how="left"
        )
        .group_by("as_of", "campaign_id", "planted")
        .len()
        .with_columns(size=pl.col("len").sum().over("as_of", "campaign_id"))
        .filter(
            pl.col("planted").is_not_null()
            & (pl.col("len") >= MEMBERS)
            & (pl.col("len") >= PURITY * pl.col("size"))
        )
        .group_by("planted")
        .agg(pl.col("as_of").min())
    )
    return dict(found.select("planted", "as_of").iter_rows())
