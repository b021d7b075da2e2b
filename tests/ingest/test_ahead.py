"""The next cycle is measured while the last one is written: what is committed is the same, or it is dropped."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.ingest import cycle, job
from pipelines.ingest.ahead import Ahead, Begun
from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.run import ingest, open_source
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.store import NO_MAP
from pipelines.stopping import Stop
from tests.ingest.lakes import expected_sums, new_lake, rows, run, sums, write_log
from tests.ingest.records import KEY, NOW, log

CYCLE = 40_000
"""Bytes of a cycle: the log below has some fifteen."""


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Begun]:
    """Every cycle that was begun ahead."""
    found: list[Begun] = []
    original = Ahead.hold

    def hold(self: Ahead, begun: Begun) -> None:
        found.append(begun)
        original(self, begun)

    monkeypatch.setattr(Ahead, "hold", hold)
    return found


def leftovers(lake: Lake) -> set[str]:
    """Files that no commit names."""
    committed = {
        Path(p).name for p in pa.table(lake.hours().get_add_actions(flatten=True))["path"].to_pylist()
    }
    staging = lake.path / "_staging"
    files = {p.name for p in (lake.path / "account_hours").rglob("*.parquet")} - committed
    return files | ({p.name for p in staging.iterdir()} if staging.exists() else set())


def test_the_same_lake_as_in_one_cycle(tmp_path: Path, fitted: FittedMap, held: list[Begun]) -> None:
    records = log(90, 900, repeats=0.3)
    source = str(write_log(tmp_path / "a.ndjson", records))
    whole, cut = (new_lake(tmp_path / name, fitted) for name in ("whole", "cut"))
    run(whole, source)
    assert held == []
    totals = run(cut, source, slice_bytes=15_000, cycle_bytes=CYCLE, threads=2)
    assert totals.cycles > 5
    assert len(held) >= totals.cycles - 2
    assert rows(cut).equals(rows(whole))
    assert sums(cut) == expected_sums(records)
    assert leftovers(cut) == set()


def test_dropped_where_another_was_first(
    tmp_path: Path, fitted: FittedMap, held: list[Begun], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(91, 900, repeats=0.1)
    source = str(write_log(tmp_path / "a.ndjson", records))
    lake = new_lake(tmp_path / "lake", fitted)
    original, others = cycle.commit, []

    def interrupted(*arguments: Any) -> int:
        if not others:
            others.append(True)
            others.append(run(lake, source, cycle_bytes=3 * CYCLE))
        return original(*arguments)

    monkeypatch.setattr(cycle, "commit", interrupted)
    run(lake, source, cycle_bytes=CYCLE)
    assert len(held) > 1
    assert sums(lake) == expected_sums(records)
    assert leftovers(lake) == set()


def test_dropped_where_it_is_stopped(tmp_path: Path, fitted: FittedMap, held: list[Begun]) -> None:
    records = log(92, 900)
    uri = str(write_log(tmp_path / "a.ndjson", records))
    lake = new_lake(tmp_path / "lake", fitted)
    stop = Stop()
    options = IngestOptions(hash_key=KEY, map_version=NO_MAP, cycle_bytes=CYCLE)
    ingest(
        lake, uri, open_source(uri, lake.path, 1 << 20, follow=False), options, lambda: NOW, stop=stop,
        on_cycle=lambda report, totals: stop.event.set(),
    )  # fmt: skip
    assert len(held) == 1
    assert leftovers(lake) == set()
    assert sums(lake)["requests"] < 900
    run(lake, uri, cycle_bytes=CYCLE)
    assert sums(lake) == expected_sums(records)


def test_a_file_that_fails_is_told_when_its_turn_comes(
    tmp_path: Path, fitted: FittedMap, held: list[Begun], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(93, 600)
    uri = str(write_log(tmp_path / "a.ndjson", records))
    lake = new_lake(tmp_path / "lake", fitted)
    original, calls = job.run, []

    def failing(*arguments: Any) -> None:
        calls.append(True)
        if len(calls) == 2:
            raise OSError("gone for a moment")
        original(*arguments)

    monkeypatch.setattr(job, "run", failing)
    run(lake, uri, cycle_bytes=CYCLE)
    assert sums(lake) == expected_sums(records)
    assert leftovers(lake) == set()
