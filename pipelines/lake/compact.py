"""Upkeep of a lake, safe beside ingest: fold closed hours and days, drop what nobody can see any more.

Every step is a Delta transaction of its own or removes files that no committed version within the retention
names, so it may be killed and begun again at any time, and a second run finds nothing to do. One at a time per
lake: overlapping compactions are what Delta protects least.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import fold, from_arrow, to_arrow
from pipelines.lake.commit import HOOKS, newest_chain, stand
from pipelines.lake.durable import checkpoint, settle, sync_folders, sync_log
from pipelines.lake.events import EVENTS
from pipelines.lake.live import HourFile, by_day, day_files, fingerprint, hour_files
from pipelines.lake.space import telling_full_disk
from pipelines.lake.tables import Lake, read, table_schema
from pipelines.lake.write import day_partition, hour_partition, write
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS, REJECTS
from schemas.describe import Relation

_HOUR_MS: Final = 3_600_000
_LOG_RETENTION_MS: Final = 29 * 24 * _HOUR_MS


@dataclass(frozen=True)
class CompactOptions:
    """lateness_hours: how long after its end an hour counts as closed. retention_hours: how long files that
    are no longer live stay, for readers that hold an older version and for `--as-of`."""

    lateness_hours: int = 2
    retention_hours: int = 24


@dataclass
class CompactReport:
    """What a compaction did. *_files: files that became one; removed_*: deleted from the disk."""

    hours: int = 0
    hour_files: int = 0
    days: int = 0
    removed_files: int = 0
    removed_staging: int = 0
    removed_events: int = 0
    version: int = 0


def compact(
    lake: Lake,
    now_ms: int,
    options: CompactOptions | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> CompactReport:
    """Fold, write days, vacuum, checkpoint, sweep. now_ms: the clock. Raises ScarecrowError when another
    compaction holds the lake's lock."""
    options = options or CompactOptions()
    report = CompactReport()
    lake.hours()
    with telling_full_disk(lake.path), _maintenance(lake):
        closed = now_ms // _HOUR_MS - options.lateness_hours
        _fold_hours(lake, closed, now_ms, report, progress)
        _fold_days(lake, closed, now_ms, report, progress)
        for relation in (ACCOUNT_HOURS, ACCOUNT_DAYS, REJECTS):
            progress(f"tidying {relation.name}")
            _tidy(lake, relation, now_ms, options, report)
        _sweep(lake, now_ms, options, report)
        report.version = int(lake.hours().version())
    return report


@contextmanager
def _maintenance(lake: Lake) -> Iterator[None]:
    path = lake.path / "_maintenance.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ScarecrowError(
                f"lake {lake.path} is being compacted by another process; wait until it is done"
            ) from error
        yield


def _folded(lake: Lake, files: list[HourFile], epoch_hour: int | None) -> pa.Table:
    """The rows of some files folded, map by map; under one hour where it is given."""
    paths = [f"{lake.path}/{ACCOUNT_HOURS.name}/{file.path}" for file in files]
    table = read(lake.hours(), ACCOUNT_HOURS, paths)
    parts = []
    for version in sorted(pc.unique(table["map_version"]).to_pylist()):
        rows = from_arrow(table.filter(pc.equal(table["map_version"], version)))
        if epoch_hour is not None:
            rows = rows.at_hour(np.full(len(rows), epoch_hour, dtype=np.int32))
        parts.append(to_arrow(fold(rows)))
    return pa.concat_tables(parts)


def _fold_hours(
    lake: Lake, closed: int, now_ms: int, report: CompactReport, progress: Callable[[str], None]
) -> None:
    several = {
        hour for hour, count in _counts(hour_files(lake.hours())).items() if count > 1 and hour < closed
    }
    for place, hour in enumerate(sorted(several), 1):
        progress(f"folding hour {place} of {len(several)}")
        report.hour_files += _again(lake, lambda hour=hour: _fold_hour(lake, hour, now_ms))  # type: ignore[misc]
        report.hours += 1


def _counts(files: list[HourFile]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for file in files:
        counts[file.epoch_hour] = counts.get(file.epoch_hour, 0) + 1
    return counts


def _fold_hour(lake: Lake, hour: int, now_ms: int) -> int:
    """Make the live files of an hour one; returns how many they were."""
    table = lake.hours()
    files = [file for file in hour_files(table) if file.epoch_hour == hour]
    if len(files) < 2:
        return 0
    partition = hour_partition(hour)
    filters = [("date", "=", partition["date"]), ("hour", "=", partition["hour"])]
    _replace(lake, table, ACCOUNT_HOURS, _folded(lake, files, None), partition, filters, uuid4().hex, now_ms)
    return len(files)


def _fold_days(
    lake: Lake, closed: int, now_ms: int, report: CompactReport, progress: Callable[[str], None]
) -> None:
    days = by_day(hour_files(lake.hours()))
    held = {file.day: file.fingerprint for file in day_files(lake.table(ACCOUNT_DAYS))}
    stale = [
        day for day, files in days.items() if (day + 1) * 24 <= closed and held.get(day) != fingerprint(files)
    ]
    for place, day in enumerate(stale, 1):
        progress(f"writing day {place} of {len(stale)}")
        _again(lake, lambda day=day: _fold_day(lake, day, now_ms))  # type: ignore[misc]
        report.days += 1


def _fold_day(lake: Lake, day: int, now_ms: int) -> int:
    table = lake.table(ACCOUNT_DAYS)
    files = by_day(hour_files(lake.hours())).get(day, [])
    if not files:
        return 0
    partition = day_partition(day * 24)
    name = f"{fingerprint(files)}-{uuid4().hex}"
    filters = [("date", "=", partition["date"])]
    _replace(lake, table, ACCOUNT_DAYS, _folded(lake, files, day * 24), partition, filters, name, now_ms)
    return len(files)


def _replace(
    lake: Lake,
    table: DeltaTable,
    relation: Relation,
    rows: pa.Table,
    partition: dict[str, str],
    filters: list[tuple[str, str, str]],
    name: str,
    now_ms: int,
) -> None:
    """Put one file in the place of what the handle sees in a partition; what others append meanwhile stays."""
    root = lake.path / relation.name
    written = write(root, rows, partition, f"{name}.parquet", now_ms, is_final=True)
    sync_folders(root, [(root / written.path).parent])
    try:
        table.create_write_transaction(
            [written.add_action()],
            mode="overwrite",
            schema=table_schema(relation),
            partition_by=list(relation.partition_by),
            partition_filters=filters,
            post_commithook_properties=HOOKS,
        )
    except (CommitFailedError, DeltaError):
        live = pa.table(lake.table(relation).get_add_actions(flatten=True))["path"].to_pylist()
        if written.path not in live:
            (root / written.path).unlink(missing_ok=True)
            raise
    settle(root, lake.table(relation))


def _again(lake: Lake, step: Callable[[], int]) -> int:
    attempts = Retrying(
        retry=retry_if_exception_type((CommitFailedError, DeltaError)),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        stop=stop_after_attempt(8),
    )
    try:
        return attempts(step)
    except RetryError as error:
        raise ScarecrowError(
            f"lake {lake.path} is being written to in hours that are closed; compact again later, or raise "
            "--lateness-hours"
        ) from error


def _tidy(
    lake: Lake, relation: Relation, now_ms: int, options: CompactOptions, report: CompactReport
) -> None:
    """Vacuum (files of crashed cycles too) and checkpoint; old log entries go where nothing needs them.

    What is removed is named by no version that is on the disk: `_replace` has flushed each.
    """
    root = lake.path / relation.name
    table = lake.table(relation)
    removed = table.vacuum(
        retention_hours=options.retention_hours,
        dry_run=False,
        enforce_retention_duration=False,
        post_commithook_properties=HOOKS,
        full=True,
    )
    report.removed_files += len(removed)
    table = lake.table(relation)
    sync_log(root, table)
    if _entries_since_checkpoint(lake, relation):
        checkpoint(root, table)
    # The chain of seen events is named in a commit's log entry only: that one must stay.
    if relation is not ACCOUNT_HOURS or newest_chain(table).at_ms > now_ms - _LOG_RETENTION_MS:
        table.cleanup_metadata()


def _entries_since_checkpoint(lake: Lake, relation: Relation) -> bool:
    log = lake.path / relation.name / "_delta_log"
    entries = [int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()]
    points = [int(path.name.split(".")[0]) for path in log.glob("*.checkpoint*.parquet")]
    return bool(entries) and max(entries) > max(points, default=0)


def _sweep(lake: Lake, now_ms: int, options: CompactOptions, report: CompactReport) -> None:
    """Remove what crashed cycles left beside the tables."""
    before = now_ms / 1000 - options.retention_hours * 3600
    for folder in _old(lake.path / "_staging", before):
        shutil.rmtree(folder, ignore_errors=True)
        report.removed_staging += 1
    chain = {segment.name for segment in stand(lake).chain}
    for path in _old(lake.path / EVENTS, before):
        if path.name not in chain:
            path.unlink(missing_ok=True)
            report.removed_events += 1


def _old(folder: Path, before: float) -> list[Path]:
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < before:
                found.append(path)
        except FileNotFoundError:
            continue
    return sorted(found)
