"""A power cut: what was not flushed to the disk is gone, and nothing that was committed may hang on it.

The disk here is the worst that POSIX allows: of a file what was written since its last fsync is lost with all the rest
of it, and a name is lost unless its folder was flushed since.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.lake import durable
from pipelines.lake.compact import CompactOptions, compact
from pipelines.lake.live import hour_files
from pipelines.lake.tables import Lake
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.conftest import fitted as fitted
from tests.ingest.lakes import expected_sums, new_lake, rejects, run, sums, write_log
from tests.ingest.records import NOW, log


class Disk:
    """Remembers what was flushed. watch: called after each flush."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, set[tuple[str, int]]] = {}
        self.watch: Callable[[], None] = lambda: None
        flush = os.fsync

        def fsync(descriptor: int) -> None:
            flush(descriptor)
            self._note(Path(f"/proc/self/fd/{descriptor}").resolve())
            self.watch()

        patch.setattr(os, "fsync", fsync)

    def _note(self, path: Path) -> None:
        number = path.stat().st_ino
        if path.is_dir():
            self._names[number] = {(entry.name, entry.inode()) for entry in os.scandir(path)}
        else:
            self._contents[number] = path.read_bytes()

    def cut(self, folder: Path, into: Path) -> None:
        """Copy what would be there after a power cut."""
        into.mkdir()
        kept = self._names.get(folder.stat().st_ino, set())
        for entry in os.scandir(folder):
            if (entry.name, entry.inode()) not in kept:
                continue
            if entry.is_dir():
                self.cut(Path(entry.path), into / entry.name)
            else:
                (into / entry.name).write_bytes(self._contents.get(entry.inode(), b""))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(durable, "_flushed", {})
    return Disk(monkeypatch)


def test_after_every_commit_and_compaction(tmp_path: Path, fitted: FittedMap, disk: Disk) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    done: list[dict[str, object]] = []
    for number in range(4):
        records = log(60 + number, 200, accounts=15, hours=26)
        for record in records:
            record["event_id"] = f"{number} {record['event_id']}"
        source = write_log(tmp_path / f"{number}.ndjson", records)
        source.write_bytes(source.read_bytes() + b'{"account_id": 3}\n')
        run(lake, str(source))
        done.extend(records)
        check(disk, lake, tmp_path / f"commit-{number}", done, number + 1)
        if number % 2:
            assert compact(lake, NOW, CompactOptions(retention_hours=0)).hours > 10
            check(disk, lake, tmp_path / f"compact-{number}", done, number + 1)


def test_at_every_moment_of_a_compaction(tmp_path: Path, fitted: FittedMap, disk: Disk) -> None:
    """Files that a fold replaced are removed at once (retention 0): the fold must be on the disk before."""
    lake = new_lake(tmp_path / "lake", fitted)
    records = log(70, 200, accounts=15, hours=8)
    for number in range(2):
        run(lake, str(write_log(tmp_path / f"{number}.ndjson", records[number::2])))
    moments = []

    def look() -> None:
        copy = tmp_path / f"moment-{len(moments)}"
        disk.cut(lake.path, copy)
        assert sums(Lake(copy)) == expected_sums(records)
        shutil.rmtree(copy)
        moments.append(len(hour_files(lake.hours())))

    disk.watch = look
    report = compact(lake, NOW, CompactOptions(retention_hours=0))
    assert report.removed_files >= 8
    assert len(set(moments)) > 4


def check(disk: Disk, lake: Lake, copy: Path, done: list[dict[str, object]], broken: int) -> None:
    """What is left is whole, and everything that was committed is known to be."""
    disk.cut(lake.path, copy)
    left = Lake(copy)
    assert sums(left) == expected_sums(done)
    assert len(rejects(left)) == broken
    assert store.current(copy) == store.current(lake.path)
    store.load(copy, str(store.current(copy)))
    totals = run(left, str(copy.parent / "*.ndjson"))
    assert (totals.cycles, totals.rows, totals.duplicates) == (0, 0, 0)
    compact(left, NOW)
    assert sums(left) == expected_sums(done)


@pytest.mark.usefixtures("disk")
def test_an_entry_of_another_writer_is_flushed_too(
    tmp_path: Path, fitted: FittedMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It committed first and has not come to its own flush when the next one acknowledges."""
    lake = new_lake(tmp_path / "lake", fitted)
    run(lake, str(write_log(tmp_path / "a.ndjson", log(71, 50))))
    with monkeypatch.context() as other:
        other.setattr("pipelines.lake.commit.settle", lambda root, table: None)
        run(lake, str(write_log(tmp_path / "b.ndjson", log(72, 50))))
    entry = lake.path / "account_hours" / "_delta_log" / f"{lake.hours().version():020d}.json"
    flushed = []
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (flushed.append(os.fstat(d).st_ino), flush(d)))
    records = log(73, 50)
    for record in records:
        record["event_id"] = f"c {record['event_id']}"
    run(lake, str(write_log(tmp_path / "c.ndjson", records)))
    assert entry.stat().st_ino in flushed


def test_a_first_map(tmp_path: Path, disk: Disk) -> None:
    lake = Lake(tmp_path / "lake")
    records = log(74, 3_000)
    run(lake, str(write_log(tmp_path / "log.ndjson", records)))
    assert store.current(lake.path) is not None
    check(disk, lake, tmp_path / "cut", records, 0)
