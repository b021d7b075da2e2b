"""Cycles: each event once, whatever the order, slicing, splitting and number of workers; crashes at every step."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.naive import Naive, measure_all
from pipelines.ingest import cycle, folder, job
from pipelines.lake import commit
from pipelines.lake.events import SeenEvents
from pipelines.lake.notes import known_sources, read_note
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.store import current
from tests.ingest.lakes import expected_sums, new_lake, rejects, rows, run, sums, write_log
from tests.ingest.records import KEY, NOON, lines, log
from tests.ingest.test_measure import compare


def test_as_the_oracle(tmp_path: Path, fitted: FittedMap) -> None:
    records = log(20, 600, repeats=0.1)
    lake = new_lake(tmp_path / "lake", fitted)
    totals = run(
        lake, str(write_log(tmp_path / "a.ndjson", records)), slice_bytes=40_000, cycle_bytes=150_000
    )
    table = rows(lake)
    assert set(table["map_version"].to_pylist()) == {current(lake.path)}
    found = {}
    for row in table.drop_columns(["map_version"]).to_pylist():
        found[row.pop("account_id"), row.pop("epoch_hour")] = row
    compare(found, measure_all(records, Naive(KEY, fitted.quantiser)))
    assert (totals.records, totals.rows + totals.duplicates) == (600, 600)
    assert totals.duplicates == 600 - len({r["event_id"] for r in records})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, fitted: FittedMap) -> pa.Table:
    """The lake of an undisturbed run of LOG."""
    folder = tmp_path_factory.mktemp("reference")
    lake = new_lake(folder / "lake", fitted)
    run(lake, str(write_log(folder / "a.ndjson", LOG)))
    return rows(lake)


LOG = log(21, 800, accounts=25)


@pytest.mark.parametrize(
    ("seed", "files", "slice_bytes", "cycle_bytes", "threads", "shards"),
    [
        (1, 1, 1 << 20, 1 << 30, 2, 1),
        (2, 3, 50_000, 1 << 30, 1, 3),
        (3, 5, 20_000, 90_000, 3, 2),
        (4, 2, 9_000, 250_000, 2, 1),
    ],
)
def test_order_slicing_splitting_and_workers_change_nothing(
    tmp_path: Path, fitted: FittedMap, reference: pa.Table, seed: int, files: int, slice_bytes: int,
    cycle_bytes: int, threads: int, shards: int,
) -> None:  # fmt: skip
    shuffled = list(LOG)
    random.Random(seed).shuffle(shuffled)
    for number in range(files):
        write_log(tmp_path / f"{number}.ndjson", shuffled[number::files])
    lake = new_lake(tmp_path / "lake", fitted)
    run(
        lake, str(tmp_path / "*.ndjson"), slice_bytes, cycle_bytes=cycle_bytes, threads=threads, shards=shards
    )
    assert rows(lake).equals(reference)


def test_repeats_within_a_slice_across_slices_cycles_files_and_runs(
    tmp_path: Path, fitted: FittedMap
) -> None:
    records = log(22, 300)
    lake = new_lake(tmp_path / "lake", fitted)
    twice = [*records[:100], *records[:100], *records[100:200]]
    first = run(lake, str(write_log(tmp_path / "a.ndjson", twice)), slice_bytes=30_000, cycle_bytes=100_000)
    assert (first.rows, first.duplicates) == (200, 100)
    second = run(lake, str(write_log(tmp_path / "b.ndjson", [*records[150:], *records[290:]])))
    assert (second.rows, second.duplicates) == (100, 60)
    assert run(lake, str(tmp_path / "*.ndjson")).records == 0
    assert sums(lake) == expected_sums(records)


def test_a_repeat_with_other_content_changes_nothing(tmp_path: Path, fitted: FittedMap) -> None:
    records = log(23, 40)
    changed = [r | {"prompt": "another text", "account_id": "another"} for r in records]
    lake = new_lake(tmp_path / "lake", fitted)
    run(lake, str(write_log(tmp_path / "a.ndjson", records)))
    run(lake, str(write_log(tmp_path / "b.ndjson", changed)))
    assert sums(lake) == expected_sums(records)


def test_beyond_the_horizon_a_repeat_counts(tmp_path: Path, fitted: FittedMap) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    records = log(24, 300)
    for number in range(3):
        part = records[100 * number : 100 * number + 100]
        assert run(lake, str(write_log(tmp_path / f"{number}.ndjson", part)), dedup_horizon=150).rows == 100
    recent = run(lake, str(write_log(tmp_path / "again.ndjson", records[100:150])), dedup_horizon=150)
    assert (recent.rows, recent.duplicates) == (0, 50)
    old = run(lake, str(write_log(tmp_path / "old.ndjson", records[:40])), dedup_horizon=150)
    assert (old.rows, old.duplicates) == (40, 0)


def test_since_and_until(tmp_path: Path, fitted: FittedMap) -> None:
    records = log(25, 200)
    lake = new_lake(tmp_path / "lake", fitted)
    run(
        lake,
        str(write_log(tmp_path / "a.ndjson", records)),
        since_ms=NOON + 3_600_000,
        until_ms=NOON + 2 * 3_600_000,
    )
    inside = [r for r in records if NOON + 3_600_000 <= r["event_time"] < NOON + 2 * 3_600_000]
    assert sums(lake) == expected_sums(inside)


def test_notes_tell_what_was_read(tmp_path: Path, fitted: FittedMap) -> None:
    records = log(26, 120, repeats=0.2)
    path = tmp_path / "a.ndjson"
    path.write_bytes(lines(records) + b"bad\n\n")
    lake = new_lake(tmp_path / "lake", fitted)
    run(lake, str(path), slice_bytes=20_000, cycle_bytes=50_000)
    (app_id,) = known_sources(lake.path)
    note = read_note(lake.path, app_id, path.stat().st_size)
    assert note is not None
    distinct = {r["event_id"]: r for r in records}.values()
    assert (note.records, note.rows, note.rejects, note.lines) == (121, len(distinct), 1, 122)
    assert note.duplicates == 120 - note.rows
    assert note.presence["plan"] == sum("plan" in r for r in distinct)
    assert note.newest_event_ms == max(r["event_time"] for r in distinct)


class _Crash(BaseException):
    """As if the process had been killed."""


def _crash_before(*_: Any, **__: Any) -> Any:
    raise _Crash


def _crash_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        step(*args, **kwargs)
        raise _Crash

    return wrapped


_STEPS = [
    (job, "run"), (cycle, "commit"), (commit, "write_note"), (commit, "_commit_rejects"), (commit, "settle"),
    (commit, "forget_before"), (SeenEvents, "extend"), (cycle, "_advances"), (job, "write"), (job, "_leave"),
]  # fmt: skip


@pytest.mark.parametrize("step", ["before", "after"])
@pytest.mark.parametrize("where", _STEPS, ids=[name for _, name in _STEPS])
def test_a_crash_at_any_step_then_a_plain_rerun(
    tmp_path: Path, fitted: FittedMap, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], step: str
) -> None:
    records = log(27, 150, repeats=0.1)
    path = tmp_path / "a.ndjson"
    path.write_bytes(lines(records[:60]) + b"bad one\n" + lines(records[60:]) + b"bad two\n")
    lake = new_lake(tmp_path / "lake", fitted)
    owner, name = where
    with monkeypatch.context() as patch:
        original = getattr(owner, name)
        patch.setattr(owner, name, _crash_before if step == "before" else _crash_after(original))
        with pytest.raises((_Crash, RuntimeError)) as caught:
            run(lake, str(path), slice_bytes=80_000)
        assert "_Crash" in repr(caught.value)
    run(lake, str(path), slice_bytes=50_000)
    assert sums(lake) == expected_sums(records)
    assert sorted(r["position"].rsplit(":", 1)[1] for r in rejects(lake)) == ["152", "61"]


def test_another_commit_between_plan_and_commit_is_a_conflict(
    tmp_path: Path, fitted: FittedMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(29, 100)
    lake = new_lake(tmp_path / "lake", fitted)
    path = write_log(tmp_path / "a.ndjson", records)
    path.write_bytes(path.read_bytes() + b"bad\n")
    original = job.run
    nested = []

    def interrupted(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        if not nested:
            nested.append(True)
            assert run(lake, str(path)).rows == 100

    monkeypatch.setattr(job, "run", interrupted)
    assert run(lake, str(path)).records == 0
    assert sums(lake) == expected_sums(records)
    assert len(rejects(lake)) == 1


def test_another_source_committed_meanwhile_shares_the_events(
    tmp_path: Path, fitted: FittedMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(30, 100)
    lake = new_lake(tmp_path / "lake", fitted)
    mine = write_log(tmp_path / "a.ndjson", records)
    other = write_log(tmp_path / "b.ndjson", list(reversed(records)))
    original = job.run
    nested = []

    def interrupted(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        if not nested:
            nested.append(True)
            assert run(lake, str(other)).rows == 100

    monkeypatch.setattr(job, "run", interrupted)
    totals = run(lake, str(mine))
    assert (totals.records, totals.rows, totals.duplicates) == (100, 0, 100)
    assert sums(lake) == expected_sums(records)


def test_no_staging_is_left(tmp_path: Path, fitted: FittedMap) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    run(lake, str(write_log(tmp_path / "a.ndjson", log(31, 50, repeats=0.3))))
    assert list((lake.path / "_staging").iterdir()) == []
    committed = {
        Path(p).name for p in pa.table(lake.hours().get_add_actions(flatten=True))["path"].to_pylist()
    }
    assert {p.name for p in (lake.path / "account_hours").rglob("*.parquet")} == committed


def test_more_accounts_than_are_folded_at_once(
    tmp_path: Path, fitted: FittedMap, reference: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.Folder.__init__, "__defaults__", (40, 50, map))
    write_log(tmp_path / "a.ndjson", LOG)
    for shards in (1, 2):
        lake = new_lake(tmp_path / f"lake-{shards}", fitted)
        run(lake, str(tmp_path / "a.ndjson"), slice_bytes=30_000, shards=shards)
        committed = pa.table(lake.hours().get_add_actions(flatten=True)).num_rows
        assert committed > len(reference["epoch_hour"].unique())
        assert rows(lake).equals(reference)
