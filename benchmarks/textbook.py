"""The pipeline that a textbook would write: one element per record, `json.loads`, a key, `CombinePerKey`.

It computes every column of account_hours (benchmarks/naive.py), with a compiled hash so that it is not slow for
the wrong reason.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.naive import Hour, Naive, milliseconds
from pipelines.ingest.beam import PipelineOptions, beam
from pipelines.ingest.hashing import hash_bytes
from pipelines.ingest.runners import make_runner
from pipelines.prompt_map.store import load
from schemas.account_hour import ACCOUNT_HOURS


def fast_hash(data: bytes, k0: int, k1: int) -> int:
    """SipHash by the compiled function."""
    return hash_bytes(data, (np.uint64(k0), np.uint64(k1)))


class Measure(beam.DoFn):
    """Record -> ((account, hour), its columns)."""

    def __init__(self, lake: str, version: str, key: bytes) -> None:
        self._lake, self._version, self._key = lake, version, key

    def setup(self) -> None:
        self._naive = Naive(self._key, load(Path(self._lake), self._version).quantiser, fast_hash)

    def process(self, record: dict[str, Any]) -> Iterator[tuple[tuple[str, int], Hour]]:
        hour = Hour()
        self._naive.measure(record, hour)
        yield (record["account_id"], milliseconds(record["event_time"]) // 3_600_000), hour


class Merge(beam.CombineFn):
    """Adds up account-hours."""

    def create_accumulator(self) -> Hour:
        return Hour()

    def add_input(self, total: Hour, hour: Hour) -> Hour:
        return total.merge(hour)

    def merge_accumulators(self, totals: Iterable[Hour]) -> Hour:
        merged = Hour()
        for total in totals:
            merged.merge(total)
        return merged

    def extract_output(self, total: Hour) -> dict[str, Any]:
        return total.row()


def _columns(item: tuple[tuple[str, int], dict[str, Any]], version: str) -> dict[str, Any]:
    (account, hour), row = item
    zeros = {column.name: 0 for column in ACCOUNT_HOURS.columns if column.merge == "sum"}
    return zeros | row | {"account_id": account, "epoch_hour": hour, "map_version": version}


class WriteRows(beam.DoFn):
    """All rows -> one Parquet file."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, element: tuple[int, Iterable[dict[str, Any]]]) -> Iterator[int]:
        rows = list(element[1])
        pq.write_table(pa.Table.from_pylist(rows, schema=ACCOUNT_HOURS.arrow()), self._out)
        yield len(rows)


def textbook(log: Path, out: Path, lake: Path, version: str, key: bytes) -> None:
    """Run the pipeline over a log into one Parquet file."""
    with beam.Pipeline(runner=make_runner("inprocess"), options=PipelineOptions([])) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(str(log))
            | beam.Map(json.loads)
            | beam.ParDo(Measure(str(lake), version, key))
            | beam.CombinePerKey(Merge())
            | beam.Map(_columns, version)
            | beam.Map(lambda row: (0, row))
            | beam.GroupByKey()
            | beam.ParDo(WriteRows(str(out)))
        )
