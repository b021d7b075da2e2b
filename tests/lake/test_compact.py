"""Compaction: same content, fewer files, never in anybody's way."""

import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.fold import to_arrow
from pipelines.lake import compact as module
from pipelines.lake.commit import stand
from pipelines.lake.compact import CompactOptions, compact
from pipelines.lake.live import day_files, fresh_days, hour_files
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from pipelines.rank.horizon import read_horizon, span
from schemas.account_hour import ACCOUNT_DAYS
from tests.ingest.conftest import fitted as fitted
from tests.ingest.lakes import expected_sums, new_lake, rows, run, sums, write_log
from tests.ingest.records import NOON, NOW, log

DAY_MS = 24 * 3_600_000
LOG = log(40, 400, accounts=15, hours=30)


@pytest.fixture
def lake(tmp_path: Path, fitted: FittedMap) -> Lake:
    """Three commits over 30 hours."""
    lake = new_lake(tmp_path / "lake", fitted)
    for number in range(3):
        run(lake, str(write_log(tmp_path / f"{number}.ndjson", LOG[number::3])))
    return lake


def test_same_rows_in_one_file_per_hour(lake: Lake) -> None:
    before, files = rows(lake), hour_files(lake.hours())
    report = compact(lake, NOW)
    after = hour_files(lake.hours())
    assert rows(lake).equals(before)
    assert len(after) == len({f.epoch_hour for f in after}) == len({f.epoch_hour for f in files})
    assert report.hours > 15
    assert report.hour_files > len(after)
    per_hour = [pq.ParquetFile(f"{lake.path}/account_hours/{f.path}").metadata.num_rows for f in after]
    assert sum(per_hour) == before.num_rows


def test_a_second_run_finds_nothing_to_do(lake: Lake) -> None:
    compact(lake, NOW)
    version = lake.hours().version()
    again = compact(lake, NOW)
    assert (again.hours, again.days, again.removed_files) == (0, 0, 0)
    assert lake.hours().version() == version


def test_open_hours_stay(lake: Lake) -> None:
    newest = max(f.epoch_hour for f in hour_files(lake.hours()))
    report = compact(lake, (newest + 1) * 3_600_000, CompactOptions(lateness_hours=3))
    open_files = [f for f in hour_files(lake.hours()) if f.epoch_hour >= newest - 2]
    assert report.hours > 10
    assert len(open_files) > len({f.epoch_hour for f in open_files})


def test_days_count_only_while_they_hold_what_the_hours_hold(tmp_path: Path, lake: Lake) -> None:
    compact(lake, NOW)
    files = hour_files(lake.hours())
    days = fresh_days(lake, files)
    assert sorted(days) == sorted({f.epoch_hour // 24 for f in files})
    late = log(41, 5, hours=1)
    for record in late:
        record["event_id"] = "late " + record["event_id"]
    run(lake, str(write_log(tmp_path / "late.ndjson", late)))
    assert sorted(fresh_days(lake, hour_files(lake.hours()))) == sorted(set(days) - {NOON // DAY_MS})
    compact(lake, NOW)
    assert sorted(fresh_days(lake, hour_files(lake.hours()))) == sorted(days)
    assert len(day_files(lake.table(ACCOUNT_DAYS))) == len(days)
    assert sums(lake) == expected_sums([*LOG, *late])


def test_the_horizon_is_the_same_from_hours_and_from_days(lake: Lake) -> None:
    fine = read_horizon(lake, 60, NOW)
    coarse = list(span(lake, 60, NOW, fine_rows=10).parts())
    compact(lake, NOW)
    assert len(day_files(lake.table(ACCOUNT_DAYS))) == 2
    for file in hour_files(lake.hours()):
        (lake.path / "account_hours" / file.path).unlink()  # so that only the days can be read
    from_days = list(span(lake, 60, NOW, fine_rows=10).parts())
    assert [to_arrow(rows) for rows in from_days] == [to_arrow(rows) for rows in coarse]
    assert to_arrow(read_horizon(lake, 60, NOW, fine_rows=10).profiles).equals(to_arrow(fine.profiles))


def _age(path: Path, hours: float) -> None:
    old = time.time() - hours * 3600
    os.utime(path, (old, old))


def test_what_crashed_cycles_left_goes_and_what_is_live_or_young_stays(lake: Lake) -> None:
    folder = next((lake.path / "account_hours").glob("date=*/hour=*"))
    orphan, young = folder / "orphan.parquet", folder / "young.parquet"
    staging, event = lake.path / "_staging" / "dead", lake.path / "_events" / "dead.npy"
    staging.mkdir(parents=True)
    for path in (orphan, young, event, staging / "slice-00000.pickle"):
        path.write_bytes(b"x")
    for path in (orphan, event, staging):
        _age(path, 30)
    for path in (lake.path / "_events").glob("*.npy"):
        _age(path, 30)
    now = time.time_ns() // 1_000_000
    report = compact(lake, now)
    assert not any(path.exists() for path in (orphan, event, staging))
    assert young.exists()
    assert (report.removed_staging, report.removed_events) == (1, 1)
    assert report.removed_files >= 1
    for segment in stand(lake).chain:
        assert (lake.path / "_events" / segment.name).exists()
    assert sums(lake) == expected_sums(LOG)


def test_repeats_are_still_known_after_compaction(tmp_path: Path, lake: Lake) -> None:
    compact(lake, NOW)
    totals = run(lake, str(write_log(tmp_path / "again.ndjson", LOG[::-1])))
    assert (totals.rows, totals.duplicates) == (0, len(LOG))


def test_old_files_go_after_the_retention(lake: Lake) -> None:
    compact(lake, NOW)
    live = {f.path for f in hour_files(lake.hours())}
    on_disk = {
        str(p.relative_to(lake.path / "account_hours"))
        for p in (lake.path / "account_hours").rglob("*.parquet")
    }
    dead = {p for p in on_disk if "_delta_log" not in p} - live
    assert dead
    lake.hours().vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    assert sums(lake) == expected_sums(LOG)


def test_one_at_a_time(lake: Lake) -> None:
    with module._maintenance(lake), pytest.raises(ScarecrowError, match="another process"):
        compact(lake, NOW)
    compact(lake, NOW)


def test_no_lake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no lake"):
        compact(Lake(tmp_path / "none"), NOW)


def test_beside_ingest(tmp_path: Path, fitted: FittedMap) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    records = log(42, 900, accounts=10, hours=3)
    write_log(tmp_path / "a.ndjson", records)
    done = threading.Event()
    failures: list[BaseException] = []

    def upkeep() -> None:
        while not done.is_set():
            try:
                compact(lake, NOW)
            except ScarecrowError:
                continue
            except BaseException as error:
                failures.append(error)
                return

    thread = threading.Thread(target=upkeep)
    thread.start()
    try:
        run(lake, str(tmp_path / "a.ndjson"), slice_bytes=40_000, cycle_bytes=60_000)
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert sums(lake) == expected_sums(records)
    compact(lake, NOW)
    assert sums(lake) == expected_sums(records)
    table = pa.table(lake.hours().get_add_actions(flatten=True))
    assert table.num_rows == 3
