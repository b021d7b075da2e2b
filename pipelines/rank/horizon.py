"""Reads the ranked horizon from the lake: rows per account and hour, and per account.

Belongs here: which files count, and folding them within bounded memory. Not here: any statistic.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Rows, concat, fold, from_arrow
from pipelines.lake.live import by_day, fresh_days
from pipelines.lake.live import hour_files as hour_files
from pipelines.lake.tables import Lake, read
from pipelines.prompt_map.store import NO_MAP, current
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS

HOUR_MS: Final = 3_600_000
FINE_ROWS: Final = 3_000_000
"""Horizons of more account-hours than this are kept by day, which bounds memory."""


@dataclass(frozen=True)
class Horizon:
    """What is ranked. as_of_ms: end of the horizon, a full hour; days: its length.

    hours: Rows, one per account and hour (or day, above FINE_ROWS). profiles: Rows, one per account.
    account_hours: rows read. lake_version: Delta version of account_hours.
    """

    as_of_ms: int
    days: float
    map_version: str
    lake_version: int
    account_hours: int
    hours: Rows
    profiles: Rows


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


def read_horizon(lake: Lake, days: float, as_of_ms: int | None = None, fine_rows: int = FINE_ROWS) -> Horizon:
    """Read the hours that end at or before as_of (default: the end of the newest hour) and begin within `days`."""
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
    hours: list[Rows] = []
    profiles: list[Rows] = []
    for day, members in by_day(chosen).items():
        is_whole = begin <= day * 24 and day * 24 + 24 <= end
        if is_whole and day in folded_days:
            daily = fold(from_arrow(under_map(read(table, ACCOUNT_DAYS, [folded_days[day]]), version)))
            hours.append(daily)
        else:
            paths = [f"{lake.path}/account_hours/{file.path}" for file in members]
            rows = fold(from_arrow(under_map(read(table, ACCOUNT_HOURS, paths), version)))
            daily = fold(rows.at_hour(np.full(len(rows), day * 24, dtype=np.int32)))
            hours.append(rows if total <= fine_rows else daily)
        profiles.append(daily)
    folded = fold(concat(hours))
    whole = concat(profiles)
    return Horizon(
        end * HOUR_MS, days, version, int(table.version()), total, folded,
        fold(whole.at_hour(np.zeros(len(whole), dtype=np.int32))),
    )  # fmt: skip


def _hour_text(epoch_hour: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_hour * 3600, UTC).strftime("%Y-%m-%dT%H:%MZ")
