"""Reads the ranked horizon from the lake: rows per account and hour, and per account.

Belongs here: which files count, and folding them within bounded memory. Not here: any statistic.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Entries, Rows, concat, fold, from_arrow, select
from pipelines.lake.live import HourFile, by_day, fresh_days
from pipelines.lake.live import hour_files as hour_files
from pipelines.lake.tables import Lake, read
from pipelines.prompt_map.store import NO_MAP, current
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS

HOUR_MS: Final = 3_600_000
FINE_ROWS: Final = 3_000_000
"""Horizons of more account-hours than this are kept by day, which bounds memory."""
READERS: Final = 2
"""Days that are read and sketches that are folded at a time."""
_TOGETHER: Final = (
    ("prompts",),
    ("minutes",),
    ("cells", "conversations"),
    ("prompt_shingles", "response_shingles", "openings", "closings"),
)
"""Large sketches, folded one group after another so that memory never holds all of them twice."""


@dataclass(frozen=True)
class Horizon:
    """What is ranked. as_of_ms: end of the horizon, a full hour; days: its length.

    hours: Rows, one per account and hour (or day, above FINE_ROWS), days in order and accounts in order within a
    day. profiles: Rows, one per account. account_hours: rows read. lake_version: Delta version of account_hours.
    """

    as_of_ms: int
    days: float
    map_version: str
    lake_version: int
    account_hours: int
    hours: Rows
    profiles: Rows

    def without_hours(self) -> "Horizon":
        """The same when nobody needs hours any more: they are half of the memory."""
        return replace(self, hours=select(self.hours, np.empty(0, dtype=np.int64)))


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


def read_horizon(
    lake: Lake,
    days: float,
    as_of_ms: int | None = None,
    fine_rows: int = FINE_ROWS,
    hour_sketches: Collection[str] | None = None,
) -> Horizon:
    """Read the hours that end at or before as_of (default: the end of the newest hour) and begin within `days`.

    hour_sketches: those that `hours` keeps, the others are empty there; all when None.
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
    version = current(lake.path) or NO_MAP
    total = sum(file.rows for file in chosen)
    # Above the limit hours are not kept apart, so a whole day that compaction has folded is read as such.
    folded_days = fresh_days(lake, files) if total > fine_rows else {}

    def read_day(day: int, members: list[HourFile]) -> Rows:
        is_whole = begin <= day * 24 and day * 24 + 24 <= end
        if is_whole and day in folded_days:
            return fold(from_arrow(under_map(read(table, ACCOUNT_DAYS, [folded_days[day]]), version)))
        paths = [f"{lake.path}/account_hours/{file.path}" for file in members]
        rows = fold(from_arrow(under_map(read(table, ACCOUNT_HOURS, paths), version)))
        if total <= fine_rows:
            return rows
        return fold(rows.at_hour(np.full(len(rows), day * 24, dtype=np.int32)))

    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(read_day, *zip(*by_day(chosen).items(), strict=True)))
    kept = set(parts[0].sketches) if hour_sketches is None else set(hour_sketches)
    hours = concat([_only(part, kept) for part in parts])
    profiles = _one_per_account(parts)
    return Horizon(end * HOUR_MS, days, version, int(table.version()), total, hours, profiles)


def _only(rows: Rows, kept: Collection[str]) -> Rows:
    """The rows with some of their sketches; the others are empty."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    sketches = {
        name: entries
        if name in kept
        else Entries(
            offsets, entries.keys[:0], entries.counts[:0], {c: v[:0] for c, v in entries.payloads.items()}
        )
        for name, entries in rows.sketches.items()
    }
    return replace(rows, sketches=sketches)


def _one_per_account(parts: Sequence[Rows]) -> Rows:
    """fold(concat(parts)) over the whole horizon; sketches go from `parts` as they are folded."""
    whole = _fold_over_all([_only(part, set(part.sketches).difference(*_TOGETHER)) for part in parts])
    # The sums are done; what is left asks only which rows are whose.
    bare = [replace(part, sums=np.zeros((len(part), 0), dtype=np.int64)) for part in parts]

    def merge(names: Sequence[str]) -> dict[str, Entries]:
        some = [_only(part, names) for part in bare]
        for part in parts:
            for name in names:
                part.sketches[name] = _only(part, ()).sketches[name]
        folded = _fold_over_all(some)
        return {name: folded.sketches[name] for name in names}

    with ThreadPoolExecutor(READERS) as pool:
        merged = [entries for found in pool.map(merge, _TOGETHER) for entries in found.items()]
    return replace(whole, sketches=whole.sketches | dict(merged))


def _fold_over_all(parts: Sequence[Rows]) -> Rows:
    rows = concat(parts)
    return fold(rows.at_hour(np.zeros(len(rows), dtype=np.int32)))


def _hour_text(epoch_hour: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_hour * 3600, UTC).strftime("%Y-%m-%dT%H:%MZ")
