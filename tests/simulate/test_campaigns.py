"""Each strategy does what its name says, and no campaign buys a prompt twice."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.identities import NEW_MODEL
from pipelines.simulate.plan import CampaignPlan
from pipelines.simulate.prompts import BASE_MASK
from pipelines.simulate.requests import Traffic
from pipelines.simulate.tempo import DAY
from pipelines.simulate.world import BuiltWorld
from tests.simulate.conftest import make_world

SIZES = {"single_heavy": 1, "hydra": 40, "ban_and_respawn": 18}
UNEVEN = ("single_heavy", "round_robin", "agentic", "adaptive_120", "adaptive_150", "adaptive_200")
"""lots that the strategy itself makes larger, smaller or equal"""
World = Callable[[str], tuple[BuiltWorld, Traffic]]


@pytest.fixture(scope="session")
def world(grammar: GrammarPrompts) -> World:
    @cache
    def build(strategy: str) -> tuple[BuiltWorld, Traffic]:
        plan = CampaignPlan(strategy, SIZES.get(strategy, 16), STRATEGIES[strategy].lot)
        built = make_world(grammar, plan, accounts=170)
        own = np.isin(built.requests.account, built.campaigns[0].accounts)
        return built, built.requests.take(np.flatnonzero(own))

    return build


def lots(built: BuiltWorld, own: Traffic) -> np.ndarray:
    counts = np.bincount(own.account[own.harvest], minlength=len(built.classes))
    return np.asarray(counts[built.campaigns[0].accounts])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_campaign_uses_its_accounts_and_buys_no_prompt_twice(strategy: str, world: World) -> None:
    built, own = world(strategy)
    bought = own.harvest & (own.turn == 0)
    if not strategy.startswith("adaptive"):  # which buys duplicates on purpose
        assert len(np.unique(own.prompt[bought] & BASE_MASK)) == bought.sum()
    assert (lots(built, own) > 0).all()
    created = built.world.identities.created[own.account]
    assert (own.time >= created).all()
    assert (own.time < built.world.calendar.end).all()


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in UNEVEN])
def test_lots_are_in_their_range(strategy: str, world: World) -> None:
    low, high = STRATEGIES[strategy].lot
    counts = lots(*world(strategy))
    assert low <= counts.min()
    assert counts.max() <= high


def test_a_single_account_buys_thousands_day_and_night(world: World) -> None:
    _, own = world("single_heavy")
    assert 1_500 <= len(own) <= 4_000
    assert len(np.unique(own.time // 3_600_000 % 24)) == 24


def test_round_robin_lots_differ_by_one_at_most(world: World) -> None:
    counts = lots(*world("round_robin"))
    assert counts.max() - counts.min() <= 1


def test_low_and_slow_never_hurries(world: World) -> None:
    _, own = world("low_and_slow")
    days: dict[tuple[int, int], int] = {}
    for account, time in zip(own.account.tolist(), own.time.tolist(), strict=True):
        days[account, time // DAY] = days.get((account, time // DAY), 0) + 1
    assert np.quantile(list(days.values()), 0.9) <= 6


def test_topic_split_tiles(world: World, grammar: GrammarPrompts) -> None:
    for strategy, at_most in (("topic_split", 2.5), ("round_robin", 99.0)):
        built, own = world(strategy)
        topics = grammar.topic_of(own.prompt)
        each = [len(np.unique(topics[own.account == account])) for account in built.campaigns[0].accounts]
        assert np.mean(each) <= at_most
        if strategy == "round_robin":
            assert np.mean(each) > 3.5  # so the figure above says something
        assert len(np.unique(topics)) >= 4


@pytest.mark.parametrize("kind", ["generic", "personal"])
@pytest.mark.parametrize("share", [50, 80, 95])
def test_cover_is_the_share_that_the_name_says(kind: str, share: int, world: World) -> None:
    _, own = world(f"{kind}_cover_{share}")
    assert (~own.harvest).mean() == pytest.approx(share / 100, abs=0.04)


def test_generic_cover_is_alike_and_personal_cover_is_not(world: World, grammar: GrammarPrompts) -> None:
    spread = {}
    for kind in ("generic", "personal"):
        built, own = world(f"{kind}_cover_80")
        cover = own.take(np.flatnonzero(~own.harvest))
        topics = grammar.topic_of(cover.prompt)
        known = topics >= 0
        table = np.zeros((len(built.classes), len(grammar.topics)))
        np.add.at(table, (cover.account[known], topics[known]), 1)
        table = table[built.campaigns[0].accounts]
        shares = table / table.sum(axis=1, keepdims=True)
        spread[kind] = np.abs(shares - shares.mean(axis=0)).sum(axis=1).mean()
    assert spread["personal"] > 1.5 * spread["generic"]


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("judging", ("Answer A", "Reply 1", "Rate the response", "verdict")),
        ("reasoning", ("step", "reason", "derive", "<thinking>")),
    ],
)
def test_elicitation_is_in_the_prompt(strategy: str, words: tuple[str, ...], world: World) -> None:
    from pipelines.simulate.render import Renderer

    built, own = world(strategy)
    lines = [line.decode().lower() for _, chunk in Renderer(built.world, 1).lines(own) for line in chunk]
    said = [any(word.lower() in line for word in words) for line in lines]
    assert np.mean(said) > 0.95


def test_agents_talk_on_and_hand_answers_over(world: World) -> None:
    _, own = world("agentic")
    assert (own.turn > 0).mean() > 0.5
    assert (own.tools >= 0).all()
    quoted = own.answer_of[own.wrap > 0]
    assert len(quoted) > 20
    asked_by = {
        prompt: account
        for prompt, account, turn in zip(
            own.prompt.tolist(), own.account.tolist(), own.turn.tolist(), strict=True
        )
        if turn == 0
    }
    elsewhere = [
        asked_by[code] != account
        for code, account in zip(quoted.tolist(), own.account[own.wrap > 0].tolist(), strict=True)
    ]
    assert np.mean(elsewhere) > 0.8


def test_the_next_account_is_created_when_the_last_was_banned(world: World) -> None:
    built, own = world("ban_and_respawn")
    banned = own.status == 403
    assert banned.sum() >= 12
    created = built.world.identities.created
    lines = len(built.campaigns[0].accounts) // 3
    for line in range(lines):
        chain = built.campaigns[0].accounts[line::lines]
        for before, after in pairwise(chain):
            last = own.time[own.account == before].max()
            assert created[after] > last
            assert created[after] - last < 3 * DAY
    first = own.time[own.account == built.campaigns[0].accounts[0]]
    assert own.status[own.account == built.campaigns[0].accounts[0]][np.argmax(first)] == 403


def test_a_pivot_moves_half_of_the_traffic_at_the_release(world: World) -> None:
    built, own = world("model_pivot")
    release = built.world.calendar.release
    within = (own.time >= release) & (own.time < release + 2 * DAY)
    assert within.mean() > 0.45
    assert (built.world.identities.adopts[own.account] == release).all()
    assert NEW_MODEL == 4


def test_a_relay_carries_conversations_of_real_people(world: World) -> None:
    _, own = world("relay")
    assert 0.3 < own.harvest.mean() < 0.7
    assert (own.turn[~own.harvest] > 0).mean() > 0.1


def test_human_seeds_come_from_people(world: World, grammar: GrammarPrompts) -> None:
    _, own = world("human_seeds")
    assert {grammar.topics[t].family for t in np.unique(grammar.topic_of(own.prompt))} == {"ordinary"}


def test_infrastructure_is_unique_unless_asked_for(grammar: GrammarPrompts) -> None:
    built = make_world(grammar, CampaignPlan("hydra", 40, (30, 40)), accounts=220)
    own = built.campaigns[0].accounts
    identities = built.world.identities
    assert len(np.unique(identities.payment[own])) == 40
    assert len(np.unique(identities.org[own])) == 40
    networks = len(np.unique(identities.networks[own, 0]))
    everybody = np.unique(identities.networks[:, 0]).size / len(identities.networks)
    assert networks / 40 == pytest.approx(everybody, abs=0.12)
