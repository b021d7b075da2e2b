"""Rows of a lake in parts of the accounts, so that memory holds one part at a time whatever the lake holds.

Belongs here: where a part begins and how rows reach it. Files are read once, cut at the parts' bounds and put down in
a scratch folder, one file for each part and day; what is read back is what a filter by account would have given.
Not here: what becomes of the rows.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import DeltaTable
from numpy.typing import NDArray

from pipelines.lake.tables import read
from schemas.describe import Relation

READERS: Final = 2
"""Days that are read at a time."""
_BATCH: Final = 32_768
"""Rows that are cut at a time."""
_LOOKED_AT: Final = 4
_SAMPLE: Final = 2_000
"""Files of a day, and account ids of a file, from which the bounds of parts are taken."""
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")

Load = Callable[[], pa.Table | None]
"""Gives a table, or None where there are no rows."""


@dataclass(frozen=True)
class Day:
    """Files of a lake table that hold a day's rows. day: days since 1970. paths: absolute. rows: in all of them.

    is_folded: whether it is a day's file, not hours.
    """

    day: int
    relation: Relation
    paths: tuple[str, ...]
    rows: int
    is_folded: bool


def in_parts(table: DeltaTable, days: Sequence[Day], most: int, scratch: Path) -> Iterator[list[Load]]:
    """For each part of the accounts, ascending, how to load its rows of each day, in the order of `days`.

    most: rows that a part holds, more or less; an account is in one part only. What is in `scratch` is gone when it
    was read.
    """
    bounds = _bounds(days, -(-sum(day.rows for day in days) // most))
    if len(bounds) == 0:
        yield [partial(read, table, day.relation, day.paths) for day in days]
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda day: _cut(day, bounds, scratch), days))
    pa.default_memory_pool().release_unused()
    for part in range(len(bounds) + 1):
        yield [partial(_take, _place(scratch, day, part)) for day in days]


def _bounds(days: Sequence[Day], parts: int) -> pa.Array:
    """The first account id of every part but the first, ascending."""
    ids = []
    for day in days if parts > 1 else ():
        for path in day.paths[:: max(1, len(day.paths) // _LOOKED_AT)]:
            column = pads.dataset(path, format="parquet").to_table(columns=["account_id"])["account_id"]
            ids.append(column.take(np.arange(0, len(column), max(1, len(column) // _SAMPLE))))
    if not ids:
        return pa.array([], pa.string())
    every = pa.chunked_array([chunk for column in ids for chunk in column.chunks]).cast(pa.string())
    ordered = every.combine_chunks().take(pc.sort_indices(every))
    chosen = np.unique(np.arange(1, parts) * len(ordered) // parts)
    return pc.unique(ordered.take(pa.array(chosen)))


def _place(scratch: Path, day: Day, part: int) -> Path:
    return scratch / f"{day.day}-{part}.arrow"


def _cut(day: Day, bounds: pa.Array, scratch: Path) -> None:
    """Write the rows of a day to the files of its parts."""
    schema = day.relation.arrow()
    with ExitStack() as stack:
        writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for rows in _batches(day, schema):
            part = _parts(rows["account_id"], bounds)
            order = np.argsort(part, kind="stable")
            if bool(np.any(part[1:] < part[:-1])):
                rows, part = rows.take(pa.array(order)), part[order]
            starts = np.flatnonzero(np.diff(part, prepend=-1))
            for begin, end in zip(starts, np.append(starts[1:], len(part)), strict=True):
                number = int(part[begin])
                if number not in writers:
                    file = stack.enter_context(pa.OSFile(str(_place(scratch, day, number)), "wb"))
                    writers[number] = stack.enter_context(pa.ipc.new_stream(file, schema, options=_OPTIONS))
                writers[number].write_table(rows.slice(begin, end - begin))


def _batches(day: Day, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a day, many at a time whatever the size of its files."""
    waiting: list[pa.RecordBatch] = []
    dataset = pads.dataset(list(day.paths), schema=schema, format="parquet")
    for batch in dataset.to_batches(
        batch_size=_BATCH, batch_readahead=1, fragment_readahead=1, use_threads=False
    ):
        waiting.append(batch)
        if sum(len(held) for held in waiting) >= _BATCH:
            yield pa.Table.from_batches(waiting, schema).combine_chunks()
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema).combine_chunks()


def _parts(accounts: pa.ChunkedArray, bounds: pa.Array) -> NDArray[np.int64]:
    """Which part each account is in, int64[rows]."""
    encoded = accounts.combine_chunks().dictionary_encode()
    part = np.zeros(len(encoded.dictionary), dtype=np.int64)
    for bound in bounds:
        part += pc.greater_equal(encoded.dictionary, bound).to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = part[encoded.indices.to_numpy()]
    return found


def _take(path: Path) -> pa.Table | None:
    """The rows of a part's day, whose file is gone then; None without any."""
    if not path.exists():
        return None
    with pa.OSFile(str(path), "rb") as file:
        found = pa.ipc.open_stream(file).read_all()
    path.unlink()
    return found
