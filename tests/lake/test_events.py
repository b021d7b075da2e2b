"""Seen events against a plain list of commits."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lake.events import SeenEvents, chain_from_json, chain_to_json


@settings(max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 300), st.integers(0, 2**32))
def test_as_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], horizon: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("events")
    rng = random.Random(seed)
    long_lived = SeenEvents(folder, horizon)
    commits: list[set[int]] = []
    chain: list = []
    for number, size in enumerate(sizes):
        fresh = {rng.randrange(2**63 - 1) for _ in range(size)}
        seen = long_lived if rng.random() < 0.7 else SeenEvents(folder, horizon)
        seen.follow(chain)
        chain = chain_from_json(chain_to_json(seen.extend(np.array(sorted(fresh)), f"{number}")))
        seen.follow(chain)
        commits.append(fresh)
        held = 0
        for events in reversed(commits):
            if held >= horizon:
                break
            probe = np.array(sorted(events))
            assert seen.seen(probe).all()
            held += len(events)
        assert not seen.seen(np.array([rng.randrange(2**63 - 1) for _ in range(20)])).any()
        assert len(chain) <= 12
    # What is held beyond the horizon is bounded: merged neighbours never hold the whole past for long.
    assert sum(segment.size for segment in chain) <= sum(map(len, commits))


def test_beyond_the_horizon_events_are_forgotten(tmp_path: Path) -> None:
    seen = SeenEvents(tmp_path, 100)
    chain: list = []
    for number in range(10):
        chain = seen.extend(np.arange(number * 50, number * 50 + 50), str(number))
        seen.follow(chain)
    assert not seen.seen(np.arange(0, 300)).any()
    assert seen.seen(np.arange(400, 500)).all()


def test_horizon_zero_never_looks(tmp_path: Path) -> None:
    seen = SeenEvents(tmp_path, 0)
    assert seen.extend(np.arange(5), "a") == []
    assert not seen.seen(np.arange(5)).any()
