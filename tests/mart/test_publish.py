"""Analysts read while rankings are published: no failed read, and never half a ranking."""

import multiprocessing
import shutil
import time
from contextlib import ExitStack
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import duckdb
import pytest

from pipelines.mart.build import publish
from pipelines.mart.open import open_mart
from tests.small_mart import SmallMart


def reads(
    mart: str, wanted: int, is_plain: bool, failed: "Synchronized[int]", seen: "Synchronized[int]"
) -> None:
    """Open, ask, close, again and again, by our own reader or by DuckDB alone as analysts do; each ranking tells its
    number in two relations."""
    numbers = set()
    for _ in range(wanted):
        try:
            with ExitStack() as held:
                ask = (
                    held.enter_context(duckdb.connect(mart, read_only=True)).sql
                    if is_plain
                    else held.enter_context(open_mart(mart)).connection.sql
                )
                runs = ask("SELECT DISTINCT lake_version FROM runs").fetchall()
                top = ask("SELECT account_id, score FROM top_suspects(10)").fetchall()
                links = ask("SELECT DISTINCT evidence FROM account_links").fetchall()
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
    wanted = 10_000 if request.config.getoption("--soak") else 1_000
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
    readers = [
        context.Process(target=reads, args=(str(mart), wanted // 2, is_plain, failed, seen))
        for is_plain in (False, True)
    ]
    for reader in readers:
        reader.start()
    published = 0
    while any(reader.is_alive() for reader in readers):
        work = tmp_path / "next.duckdb"
        shutil.copyfile(drafts[published % 2], work)
        assert publish(work, mart)
        published += 1
        time.sleep(0.05)
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
    assert failed.value == 0
    assert published > 5
    assert seen.value == 2
