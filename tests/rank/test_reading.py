"""Analysts read while `scarecrow rank` really ranks and publishes: no read fails, and none waits for it."""

import multiprocessing
import time
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest

from pipelines.rank.run import run
from tests.rank.world import DAY_MS, FIRST_MS, ranking, small_world

QUESTIONS = (
    "SELECT account_id FROM top_suspects(10)",
    "SELECT count(*) FROM account_reasons",
    "FROM explain_account((SELECT account_id FROM suspect_accounts WHERE rank = 1))",
)


def reads(mart: str, over: Event, done: "Synchronized[int]", failed: "Synchronized[int]") -> None:
    """As an analyst does it, until it is over; a read sees one ranking only."""
    while not over.is_set():
        try:
            with duckdb.connect(mart, read_only=True) as connection:
                for question in QUESTIONS:
                    assert connection.sql(question).fetchall()
                ends = connection.sql(
                    "SELECT DISTINCT as_of FROM suspect_accounts UNION SELECT max(as_of) FROM runs"
                ).fetchall()
            assert len(ends) == 1
        except Exception:
            with failed.get_lock():
                failed.value += 1
        with done.get_lock():
            done.value += 1


def test_nobody_waits_for_a_ranking(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rankings, wanted = (20, 10_000) if request.config.getoption("--soak") else (2, 20)
    lake, mart = small_world()[1], tmp_path / "mart.duckdb"
    run(ranking(lake, mart, FIRST_MS + 4 * DAY_MS))
    context = multiprocessing.get_context("spawn")
    over, done, failed = context.Event(), context.Value("i", 0), context.Value("i", 0)
    reader = context.Process(target=reads, args=(str(mart), over, done, failed))
    reader.start()
    before = mart.stat().st_ino
    for number in range(rankings):
        run(ranking(lake, mart, FIRST_MS + (5 + number % 2) * DAY_MS, replace=True))
        assert mart.stat().st_ino != before
        before = mart.stat().st_ino
    while done.value < wanted:
        time.sleep(0.1)
    over.set()
    reader.join()
    assert reader.exitcode == 0
    assert failed.value == 0
    print(f"{done.value:,} reads while {rankings} rankings were made and published")
