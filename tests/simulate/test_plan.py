"""How many accounts each campaign gets, and the sentences for what cannot be."""

import numpy as np
import pytest

from pipelines.errors import UsageError
from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.look_alikes import LOOK_ALIKES
from pipelines.simulate.plan import look_alike_groups, plan_campaigns

RNG = np.random.default_rng


def test_named_strategies_share_the_base_rate() -> None:
    plans = plan_campaigns(["round_robin", "relay"], 2_000, 0.04, RNG(1))
    assert [plan.strategy for plan in plans] == ["round_robin", "relay"]
    assert 60 <= sum(plan.accounts for plan in plans) <= 80
    assert all(plan.accounts >= 15 for plan in plans)


def test_given_sizes_are_kept_whatever_the_base_rate() -> None:
    plans = plan_campaigns(["personal_cover_80:60:25-45", "hydra:30", "single_heavy"], 2_000, 0.0, RNG(1))
    assert [(plan.accounts, plan.lot) for plan in plans] == [
        (60, (25, 45)),
        (30, (30, 40)),
        (1, (1500, 4000)),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_default_world_has_six_or_more_strategies(seed: int) -> None:
    plans = plan_campaigns([], 5_000, 0.035, RNG(seed))
    names = [plan.strategy for plan in plans]
    assert len(names) >= 6
    assert len(set(names)) == len(names)
    assert 0.02 <= sum(plan.accounts for plan in plans) / 5_000 <= 0.05


def test_no_campaign_at_a_base_rate_of_zero() -> None:
    assert plan_campaigns([], 500, 0.0, RNG(1)) == []


@pytest.mark.parametrize(
    ("strategies", "accounts", "base_rate", "message"),
    [
        (["burglary"], 2_000, 0.05, "'burglary' is unknown"),
        (["relay:5:9-3"], 2_000, 0.05, "asks for 9 to 3"),
        (["relay:0"], 2_000, 0.05, "asks for no account"),
        (
            ["hydra"],
            2_000,
            0.05,
            "need at least 150 accounts but a base rate of 0.05 of 2000 accounts allows 100",
        ),
        ([], 2_000, 0.9, "base rate of 0.9 is out of range"),
        ([], 1_000, 0.003, "allows 3 harvesting accounts"),
        (["relay:30"], 60, 0.05, "60 accounts are too few"),
    ],
)
def test_what_cannot_be_is_said(strategies: list[str], accounts: int, base_rate: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_campaigns(strategies, accounts, base_rate, RNG(1))


def test_every_class_has_a_group_in_a_small_world_and_its_share_in_a_large_one() -> None:
    for look_alike in LOOK_ALIKES:
        small = look_alike_groups(look_alike, 100, RNG(1))
        assert small
        assert min(small) >= 1
        large = look_alike_groups(look_alike, 100_000, RNG(1))
        assert sum(large) == pytest.approx(look_alike.share * 100_000, rel=0.1)
        assert max(large) <= look_alike.group[1]


def test_all_strategies_of_the_method_are_there() -> None:
    wanted = {
        "single_heavy", "round_robin", "low_and_slow", "topic_split", "paraphrased_templates", "judging",
        "reasoning", "agentic", "ban_and_respawn", "model_pivot", "relay", "human_seeds", "hydra",
    } | {f"{kind}_cover_{share}" for kind in ("generic", "personal") for share in (50, 80, 95)}  # fmt: skip
    assert wanted <= set(STRATEGIES)
