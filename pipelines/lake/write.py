"""The one place that writes Parquet files of the lake, and what the Delta log says of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from pipelines.replacing import replacing, sync

_STATISTICS: Final = ("epoch_hour", "requests", "offset")
"""Columns with minima and maxima in the log. Only integers: wrong bounds make readers drop rows."""
_ROWS: Final = 1 << 16
"""Rows of a row group: what a reader of a large file decodes at a time."""


@dataclass(frozen=True)
class Written:
    """A file of a table, not yet committed. path: relative to the table."""

    path: str
    size: int
    partition: dict[str, str]
    stats: str
    modified_ms: int

    def add_action(self) -> AddAction:
        return AddAction(self.path, self.size, self.partition, self.modified_ms, True, self.stats)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Written":
        return cls(**data)


def hour_partition(epoch_hour: int) -> dict[str, str]:
    """The partition values of an hour since 1970."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=epoch_hour)
    return {"date": moment.date().isoformat(), "hour": str(moment.hour)}


def day_partition(epoch_hour: int) -> dict[str, str]:
    """The partition values of the day of an hour since 1970."""
    return {"date": hour_partition(epoch_hour)["date"]}


def statistics(table: pa.Table) -> str:
    """Delta statistics of a table as JSON."""
    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for name in _STATISTICS:
        if name in table.column_names and table.num_rows:
            bounds = pc.min_max(table[name]).as_py()
            low[name], high[name] = bounds["min"], bounds["max"]
    return json.dumps(
        {
            "numRecords": table.num_rows,
            "minValues": low,
            "maxValues": high,
            "nullCount": dict.fromkeys(low, 0),
        }
    )


def write(
    root: Path, table: pa.Table, partition: dict[str, str], name: str, now_ms: int, is_final: bool = False
) -> Written:
    """Write one file of a table, durable on return.

    name: without folder; unique among all writers. is_final: small rather than quickly written.
    """
    folder = "/".join(f"{key}={value}" for key, value in partition.items())
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table, path, compression="zstd" if is_final else "snappy", use_dictionary=["account_id", "map_version"],
        write_statistics=["account_id", "epoch_hour", "requests"], store_schema=False, row_group_size=_ROWS,
    )  # fmt: skip
    sync(path)
    return Written(f"{folder}/{name}", path.stat().st_size, partition, statistics(table), now_ms)


def remove_orphans(lake: Path, files: Sequence[Written]) -> None:
    """Delete files of a cycle that was not committed."""
    for file in files:
        (lake / "account_hours" / file.path).unlink(missing_ok=True)


def write_json(path: Path, data: object) -> None:
    """Write a small JSON file atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(data, sort_keys=True).encode())
