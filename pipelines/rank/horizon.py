"""The hours that a ranking looks at, read from the lake and folded to one row per account.

Belongs here: which files count, and folding them within bounded memory. Not here: any statistic.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from pipelines.detect.course import Course, follow, join
from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Rows, concat, concat_entries, fold, from_arrow, narrow
from pipelines.lake.live import by_day, fresh_days
from pipelines.lake.live import hour_files as hour_files
from pipelines.lake.tables import Lake
from pipelines.prompt_map.store import NO_MAP, current, load
from pipelines.rank import daily
from pipelines.rank.daily import Daily
from pipelines.rank.parts import READERS, Day, Load, in_parts
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS

HOUR_MS: Final = 3_600_000
FINE_ROWS: Final = 3_000_000
"""Horizons of more account-hours than this are read by day, which bounds work."""
PART_ROWS: Final = 100_000
"""Rows of a part of the accounts, more or less, which bounds memory."""


@dataclass(frozen=True)
class Extent:
    """What is looked at. as_of_ms: end, a full hour; days: length. map_version: of the cells. lake_version: Delta
    version of account_hours; account_hours: rows there."""

    as_of_ms: int
    days: float
    map_version: str
    lake_version: int
    account_hours: int

    @property
    def end(self) -> int:
        """Hours since 1970 at which it ends."""
        return self.as_of_ms // HOUR_MS


@dataclass(frozen=True)
class Span(Extent):
    """Rows of a lake that are to be read. sources: days ascending. is_fine: whether rows are kept by hour, not by
    day."""

    table: DeltaTable
    sources: tuple[Day, ...]
    is_fine: bool

    def parts(self, scratch: Path | None = None, most: int = PART_ROWS) -> Iterator[Rows]:
        """The rows of every part of the accounts, ascending: one per account and hour (or day), in that order.

        scratch: folder in which parts wait for their turn, the system's for temporary files when None. most: rows of a
        part, more or less.
        """
        with TemporaryDirectory(prefix="parts-", dir=scratch) as folder, ThreadPoolExecutor(READERS) as pool:
            for loads in in_parts(self.table, self.sources, most, Path(folder)):
                days = [rows for rows in pool.map(self._rows, self.sources, loads) if rows is not None]
                if days:
                    yield fold(concat(days), run=pool.map)

    def _rows(self, day: Day, load: Load) -> Rows | None:
        table = load()
        if table is None:
            return None
        rows = fold(from_arrow(under_map(table, self.map_version)))
        if self.is_fine or day.is_folded:
            return rows
        return fold(rows.at_hour(np.full(len(rows), day.day * 24, dtype=np.int32)))


@dataclass(frozen=True)
class Horizon(Extent):
    """Rows that were read. profiles: one per account, ascending. course: what the hours of each say beside. daily: the
    traffic of all by day."""

    profiles: Rows
    course: Course
    daily: Daily

    @property
    def extent(self) -> Extent:
        """The same without rows."""
        return Extent(self.as_of_ms, self.days, self.map_version, self.lake_version, self.account_hours)


def under_map(table: pa.Table, version: str) -> pa.Table:
    """The rows as rows of one map: those of other maps lose their cells, which mean nothing under this one."""
    foreign = pc.not_equal(table["map_version"], version)
    if not pc.any(foreign).as_py():
        return table
    for name in ("cells", "cell_requests"):
        index = table.schema.get_field_index(name)
        empty = pa.scalar([], table.schema.field(name).type)
        table = table.set_column(index, table.schema.field(index), pc.if_else(foreign, empty, table[name]))
    index = table.schema.get_field_index("prompt_cells")
    cells = table["prompt_cells"].combine_chunks()
    owner = np.repeat(np.asarray(foreign.combine_chunks()), pc.list_value_length(cells).to_numpy())
    values = np.where(owner, -1, cells.flatten().to_numpy()).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum(pc.list_value_length(cells).to_numpy()))).astype(np.int32)
    table = table.set_column(
        index, table.schema.field(index), pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    )
    index = table.schema.get_field_index("map_version")
    return table.set_column(
        index, table.schema.field(index), pa.array([version] * table.num_rows, pa.string())
    )


def span(lake: Lake, days: float, as_of_ms: int | None = None, fine_rows: int = FINE_ROWS) -> Span:
    """The hours that end at or before as_of (default: the end of the newest hour) and begin within `days`.

    fine_rows: account-hours up to which rows are kept by hour. Raises ScarecrowError when there are none.
    """
    table = lake.hours()
    files = hour_files(table)
    if not files:
        raise ScarecrowError(
            f"lake {lake.path} holds no requests; ingest a log first with `scarecrow ingest`"
        )
    end = files[-1].epoch_hour + 1 if as_of_ms is None else as_of_ms // HOUR_MS
    begin = end - round(days * 24)
    chosen = [file for file in files if begin <= file.epoch_hour < end]
    if not chosen:
        raise ScarecrowError(
            f"lake {lake.path} holds no requests in the {days:g} days before the given --as-of; its hours end "
            f"{_hour_text(files[-1].epoch_hour + 1)}"
        )
    total = sum(file.rows for file in chosen)
    # Above the limit hours are not kept apart, so a whole day that compaction has folded is read as such.
    folded = fresh_days(lake, files) if total > fine_rows else {}
    sources = []
    for day, members in by_day(chosen).items():
        if begin <= day * 24 and day * 24 + 24 <= end and day in folded:
            path = f"{lake.path}/{ACCOUNT_DAYS.name}/{folded[day].path}"
            sources.append(Day(day, ACCOUNT_DAYS, (path,), folded[day].rows, True))
        else:
            paths = tuple(f"{lake.path}/{ACCOUNT_HOURS.name}/{file.path}" for file in members)
            sources.append(Day(day, ACCOUNT_HOURS, paths, sum(file.rows for file in members), False))
    return Span(
        end * HOUR_MS, days, current(lake.path) or NO_MAP, int(table.version()), total, table, tuple(sources),
        total <= fine_rows,
    )  # fmt: skip


def read_horizon(
    lake: Lake,
    days: float,
    as_of_ms: int | None = None,
    fine_rows: int = FINE_ROWS,
    part_rows: int = PART_ROWS,
    scratch: Path | None = None,
) -> Horizon:
    """Read and fold what `span` names, one part of the accounts after another, as `Span.parts` cuts them."""
    found = span(lake, days, as_of_ms, fine_rows)
    per_topic = load(lake.path, found.map_version).cells_per_topic
    profiles: list[Rows] = []
    courses: list[Course] = []
    traffic: list[Daily] = []
    for hours in found.parts(scratch, part_rows):
        rows = fold(hours.at_hour(np.zeros(len(hours), dtype=np.int32)))
        profiles.append(narrow(rows))
        courses.append(follow(hours, rows, per_topic))
        traffic = [daily.together([*traffic, daily.by_day(hours, found.end)])]
    return Horizon(
        found.as_of_ms, days, found.map_version, found.lake_version, found.account_hours, _one_after_another(profiles),
        join(courses), traffic[0],
    )  # fmt: skip


def _one_after_another(parts: Sequence[Rows]) -> Rows:
    """The rows of parts of the accounts, in the order of the parts; sketches go from `parts` as they are joined."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.accounts) for part in parts)])
    bare = [replace(part, sketches={}) for part in parts]
    sketches = {}
    for name in list(parts[0].sketches):
        sketches[name] = concat_entries([part.sketches.pop(name) for part in parts])
    return Rows(
        bare[0].map_version,
        pa.concat_arrays([part.accounts for part in bare]),
        np.concatenate([part.codes + start for part, start in zip(bare, starts[:-1], strict=True)]).astype(
            np.int32
        ),
        np.concatenate([part.hours for part in bare]),
        np.concatenate([part.sums for part in bare]),
        np.concatenate([part.first for part in bare]),
        np.concatenate([part.last for part in bare]),
        np.concatenate([part.created for part in bare]),
        sketches,
    )


def _hour_text(epoch_hour: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_hour * 3600, UTC).strftime("%Y-%m-%dT%H:%MZ")
