"""How much was gone before the first alert, counted by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipelines.evaluate.first_alert import bought_before, first_alerts

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "bought"), [(-1, 0), (0, 0), (0.5, 5), (1, 10), (1.5, 20), (2, 30), (3, 30), (9, 30)]
)
def test_days_under_way_count_in_proportion(days: float, bought: float) -> None:
    assert bought_before([10, 20, 0], START, START + timedelta(days=days)) == bought


def test_three_members_in_the_first_ranks_make_an_alert() -> None:
    accounts = pl.DataFrame(
        {"account_id": ["a", "b", "c", "d", "x"], "campaign_id": ["p", "p", "p", "p", None]}
    )
    campaigns = pl.DataFrame(
        {
            "campaign_id": ["p", "q"],
            "strategy": ["relay", "hydra"],
            "accounts": [4, 2],
            "harvest_requests_by_day": [[10, 10, 20], [5, 5, 0]],
        }
    )
    history = pl.DataFrame(
        [
            (START + timedelta(days=1), "a", 1),
            (START + timedelta(days=1), "b", 2),
            (START + timedelta(days=1), "c", 9),
            (START + timedelta(days=2), "a", 1),
            (START + timedelta(days=2), "c", 2),
            (START + timedelta(days=2), "d", 3),
            (START + timedelta(days=3), "a", 1),
        ],
        schema=["as_of", "account_id", "rank"],
        orient="row",
    )
    relay, hydra = first_alerts(history, accounts, campaigns, START, first=5)
    assert relay.at == START + timedelta(days=2)
    assert (relay.share_gone, relay.exchanges_gone) == (0.5, 20)
    assert (hydra.at, hydra.share_gone, hydra.exchanges_gone) == (None, 1.0, 10)


def test_a_shown_campaign_counts_when_most_of_it_is_the_planted_one() -> None:
    accounts = pl.DataFrame(
        {"account_id": [*"abcd", *"wxyz"], "campaign_id": ["p", "p", "p", "p", None, None, None, "q"]}
    )
    campaigns = pl.DataFrame(
        {
            "campaign_id": ["p", "q"], "strategy": ["relay", "hydra"], "accounts": [4, 1],
            "harvest_requests_by_day": [[10, 10, 20], [5, 5, 0]],
        }
    )  # fmt: skip
    days = {
        1: {"c1": "ab", "c2": "xyz"},  # too few of p
        2: {"c1": "abcwxyz"},  # less than half of p
        3: {"c1": "abcwxy"},
    }
    shown = pl.DataFrame(
        [
            (START + timedelta(days=d), c, a)
            for d, found in days.items()
            for c, members in found.items()
            for a in members
        ],
        schema=["as_of", "campaign_id", "account_id"],
        orient="row",
    )
    history = pl.DataFrame(
        [(START + timedelta(days=1), "a", 99)], schema=["as_of", "account_id", "rank"], orient="row"
    )
    relay, hydra = first_alerts(history, accounts, campaigns, START, 5, shown)
    assert (relay.shown_at, relay.shown_share_gone, relay.exchanges) == (START + timedelta(days=3), 1.0, 40)
    assert (hydra.shown_at, hydra.shown_share_gone, hydra.at) == (None, 1.0, None)
