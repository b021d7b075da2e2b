"""What a ranking holds, by account: sizes of arrays, which are the same on every machine, not of the process."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from benchmarks.population import write_lake
from pipelines.lake.tables import Lake
from pipelines.rank.horizon import span
from pipelines.rank.steps import STEPS, Ranking
from pipelines.rank.workspace import Workspace

ACCOUNTS, DAYS = 1_000, 14
MOST: dict[str, int] = {
    "account_profiles": 4_000,
    "evidence": 3_000,
    "suspects": 300,
    "mart_draft": 300,
}
"""Bytes per account that stay behind after a step: what later steps read, of accounts with 47 calls on average. Links
come to at most 8 million per view however many accounts there are."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("memory") / "lake")
    write_lake(lake.path, ACCOUNTS, DAYS, 7)
    return lake


def held(results: dict[str, Any]) -> int:
    """Bytes of everything that is kept, each array once."""
    buffers: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(results, protocol=5, buffer_callback=buffers.append)
    return len(rest) + sum(buffer.raw().nbytes for buffer in buffers)


def test_each_step_leaves_only_what_later_ones_read(lake: Lake, tmp_path: Path) -> None:
    results: dict[str, Any] = {}
    mart = tmp_path / "mart.duckdb"
    ranking = Ranking(lake, mart, Workspace.beside(mart, "memory", results), DAYS, None, "test")
    seen = {}
    for name, step in STEPS[:-1]:
        step(ranking)
        seen[name] = held(results) / ACCOUNTS
    assert {name: seen[name] for name, most in MOST.items() if seen[name] > most} == {}


def test_rows_of_one_part_are_held_at_a_time(lake: Lake, tmp_path: Path) -> None:
    found = span(lake, DAYS)

    def most(part_rows: int) -> int:
        tracemalloc.start()
        accounts = sum(len(rows.accounts) for rows in found.parts(tmp_path, part_rows))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert accounts == ACCOUNTS
        return peak

    most(10**9)  # whatever is made once, like compiled code
    assert most(1_000) < 0.4 * most(10**9)
