"""Analysts read while rankings are published: no failed read, and never half a ranking."""

import multiprocessing
import shutil
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import duckdb
import pytest

from pipelines.mart.build import publish
from pipelines.mart.open import open_mart
from tests.small_mart import SmallMart


def reads(mart: str, wanted: int, failed: "Synchronized[int]", seen: "Synchronized[int]") -> None:
    """Open, ask, close, again and again; each ranking tells its number in three relations."""
    numbers = set()
    for _ in range(wanted):
        try:
            with open_mart(mart) as opened:
                runs = opened.rows("SELECT DISTINCT lake_version FROM runs")
                top = opened.rows("SELECT account_id, score FROM suspect_accounts ORDER BY rank LIMIT 10")
                links = opened.rows("SELECT DISTINCT evidence FROM account_links")
            assert len(runs) == 1
            assert links == [(f"ranking {runs[0][0]}",)]
            assert len(top) == 10
            numbers.add(runs[0][0])
        except Exception:
            with failed.get_lock():
                failed.value += 1
    with seen.get_lock():
        seen.value = max(seen.value, len(numbers))


def test_no_read_fails_while_rankings_are_published(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    wanted = 10_000 if request.config.getoption("--soak") else 500
    made = SmallMart().write(tmp_path / "made.duckdb")
    drafts = []
    for number in range(2):
        draft = tmp_path / f"draft-{number}.duckdb"
        shutil.copyfile(made, draft)
        with duckdb.connect(str(draft)) as connection:
            connection.execute("UPDATE runs SET lake_version = ?", [number])
            connection.execute("UPDATE account_links SET evidence = ?", [f"ranking {number}"])
        drafts.append(draft)
    mart = tmp_path / "mart.duckdb"
    shutil.copyfile(drafts[0], mart)
    context = multiprocessing.get_context("spawn")
    failed, seen = context.Value("i", 0), context.Value("i", 0)
    readers = [context.Process(target=reads, args=(str(mart), wanted // 2, failed, seen)) for _ in range(2)]
    for reader in readers:
        reader.start()
    published = 0
    while any(reader.is_alive() for reader in readers):
        work = tmp_path / "next.duckdb"
        shutil.copyfile(drafts[published % 2], work)
        assert publish(work, mart)
        published += 1
        time.sleep(0.01)
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
    assert failed.value == 0
    assert published > 5
    assert seen.value == 2
