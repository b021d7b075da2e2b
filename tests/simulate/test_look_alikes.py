"""Every look-alike is there and looks alike in the respect that its name says."""

import numpy as np
import pytest

from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.look_alikes import CODING_SYSTEM, LOOK_ALIKES
from pipelines.simulate.prompts import BASE_MASK
from pipelines.simulate.requests import NONE, Traffic
from pipelines.simulate.tempo import HOUR
from pipelines.simulate.world import BuiltWorld


def traffic_of(built: BuiltWorld, name: str) -> Traffic:
    kinds = np.array(built.classes)
    return built.requests.take(np.flatnonzero(kinds[built.requests.account] == name))


def duplicates(own: Traffic) -> float:
    """Share of requests whose prompt occurs more than once."""
    _, which, counts = np.unique(own.prompt & BASE_MASK, return_inverse=True, return_counts=True)
    return float((counts[which] > 1).mean())


def test_every_class_is_there_and_nobody_harvests(ordinary_world: BuiltWorld) -> None:
    assert set(ordinary_world.classes) == {look_alike.name for look_alike in LOOK_ALIKES} | {"person"}
    assert not ordinary_world.requests.harvest.any()


def test_ordinary_volumes_are_heavy_tailed(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "person")
    counts = np.bincount(own.account)
    counts = counts[counts > 0]
    assert counts.min() >= 2
    assert counts.max() > 8 * np.median(counts)


@pytest.mark.parametrize(
    "name", ["evaluation_team", "classroom", "app_back_end", "shared_queue", "research_team"]
)
def test_these_share_prompts(name: str, ordinary_world: BuiltWorld) -> None:
    assert duplicates(traffic_of(ordinary_world, name)) > 0.3


def test_people_hardly_share_prompts(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "person")
    first = own.take(np.flatnonzero(own.turn == 0))
    pairs = np.unique(np.stack([first.account, first.prompt & BASE_MASK]), axis=1)
    _, counts = np.unique(pairs[1], return_counts=True)
    assert (counts > 1).sum() / len(counts) < 0.1


@pytest.mark.parametrize("name", ["nightly_classification", "nightly_translation", "nightly_summaries"])
def test_batches_run_in_a_window_with_one_instruction(name: str, ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, name)
    orgs = ordinary_world.world.identities.org[own.account]
    for org in np.unique(orgs):
        rows = orgs == org
        assert len(np.unique(own.wrap[rows])) == 1
        assert len(np.unique(own.system[rows])) == 1
        hours = (own.time[rows] // HOUR) % 24
        assert len(np.unique(hours)) <= 3
    assert (own.wrap > 0).all()


def test_an_app_has_one_system_prompt_and_zipf_utterances(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "app_back_end")
    for account in np.unique(own.account):
        rows = own.account == account
        assert len(np.unique(own.system[rows])) == 1
        assert own.system[rows][0] != NONE
    _, counts = np.unique(own.prompt, return_counts=True)
    assert counts.max() >= 5 * np.median(counts)


def test_coding_agents_share_one_system_prompt_and_come_in_bursts(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "coding_agent")
    assert (own.system == CODING_SYSTEM).all()
    assert (own.turn > 0).mean() > 0.6
    assert len(np.unique(ordinary_world.world.identities.org[own.account])) > 20


def test_a_gateway_is_broad_and_heavy(ordinary_world: BuiltWorld, grammar: GrammarPrompts) -> None:
    own = traffic_of(ordinary_world, "gateway")
    assert len(own) > 250
    assert len(np.unique(grammar.topic_of(own.prompt))) > 12


def test_benchmarkers_wait_for_the_release(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "release_day_benchmarker")
    assert (own.time >= ordinary_world.world.calendar.release).mean() > 0.99
    assert duplicates(own) > 0.95  # each question goes to the new and to the old model


def test_data_makers_spin_tasks_from_few_seeds(ordinary_world: BuiltWorld) -> None:
    own = traffic_of(ordinary_world, "synthetic_data_maker")
    assert len(np.unique(own.prompt)) <= 200
    assert len(np.unique(own.wrap)) >= 5
    assert (ordinary_world.world.identities.plan[own.account] == 4).all()


def test_a_class_works_in_the_same_hours(ordinary_world: BuiltWorld, grammar: GrammarPrompts) -> None:
    own = traffic_of(ordinary_world, "classroom")
    shared = np.isin(
        own.prompt, [p for p, n in zip(*np.unique(own.prompt, return_counts=True), strict=True) if n >= 8]
    )
    hours = np.unique(own.time[shared] // HOUR)
    assert shared.sum() > 100
    assert len(hours) <= 8
