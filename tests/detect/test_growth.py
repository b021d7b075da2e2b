"""From a mixture to the list that is hidden in it."""

import numpy as np
import pytest

from pipelines.detect.alike import habits_of
from pipelines.detect.candidates import same_source
from pipelines.detect.growth import SMALLEST, again, from_seed, joined, peeled, separation
from pipelines.detect.membership import Frame, frame, read
from pipelines.detect.neighbours import neighbours_of
from tests.detect.test_list_signs import CELLS, TOPICS, accounts_of, dealt, people

HARVESTING = 24


@pytest.fixture(scope="module")
def f() -> Frame:
    """24 accounts that are dealt one list, and 150 people, 30 of whom share an interest that overlaps with it."""
    rng = np.random.default_rng(3)
    listed = dealt(rng, [45] * HARVESTING)
    fond = np.unique(np.concatenate(listed))[:60]
    alike = [
        np.concatenate([rng.choice(fond, 12), (rng.permutation(TOPICS)[:1] * 32) + rng.integers(0, 32, 28)])
        for _ in range(30)
    ]
    accounts = accounts_of([*listed, *alike, *people(rng)])
    centroids = rng.normal(size=(CELLS, 64)).astype(np.float32)
    centroids += 2 * np.repeat(rng.normal(size=(TOPICS, 64)), CELLS // TOPICS, axis=0).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    same = same_source(accounts, centroids, TOPICS)
    rows = np.arange(len(accounts))
    nearby = [neighbours_of(graph.links, len(accounts)) for graph in same.graphs]
    return frame(same, rows, np.zeros(len(accounts)), habits_of(accounts, [], rows), nearby)


def test_peeling_takes_the_others_out_of_a_group(f: Frame) -> None:
    mixture = np.arange(HARVESTING + 30)
    found = peeled(f, mixture, 0, separation)
    assert found is not None
    assert set(found.members.tolist()) <= set(range(HARVESTING))
    assert len(found.members) > 0.7 * HARVESTING
    assert separation(found) > separation(read(f, mixture, 0)) + 3


def test_part_of_a_list_finds_the_rest_of_it(f: Frame) -> None:
    core = np.arange(10)
    around = joined(f, read(f, core, 0))
    assert len(core) < len(around) <= 2 * len(core)
    (found,) = from_seed(f, core, 0, separation)
    whole = max(again(f, found, separation), key=separation)
    assert set(whole.members.tolist()) <= set(range(HARVESTING))
    assert len(whole.members) > max(len(core), 0.7 * HARVESTING)


def test_too_few_are_no_list(f: Frame) -> None:
    assert from_seed(f, np.arange(3), 0, separation) == []
    assert peeled(f, np.arange(SMALLEST - 1), 0, separation) is None


def test_a_reading_holds_members_and_others_by_one_measure(f: Frame) -> None:
    group = read(f, np.arange(HARVESTING), 0)
    smaller = read(f, np.arange(HARVESTING - 1), 0)
    assert group.odds.min() > 0
    assert not set(group.others.tolist()) & set(group.members.tolist())
    assert HARVESTING - 1 in smaller.others.tolist(), "a member that was left out is favoured from outside"
