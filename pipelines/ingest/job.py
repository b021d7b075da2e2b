"""The Beam pipeline of a cycle, as one paragraph. It uses only what every runner does right.

Elements are Arrow batches, never records: a slice goes in, folded rows cross the shuffle, files come out.
Reports travel as files beside the lake, since tagged outputs and metrics differ between runners.
"""

import os
import pickle
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.beam import PipelineOptions, beam
from pipelines.ingest.fold import Rows, concat, fold, select, to_arrow
from pipelines.ingest.formats import get_format
from pipelines.ingest.measure import HashKeys
from pipelines.ingest.memory import release_unused
from pipelines.ingest.runners import make_runner, runner_flags
from pipelines.ingest.slices import Context, SliceReport, process
from pipelines.ingest.source import Slice, Source
from pipelines.ingest.wire import pack, unpack
from pipelines.lake.events import Seen
from pipelines.lake.write import Written, hour_partition, remove_orphans, write, write_json
from pipelines.prompt_map.store import load
from pipelines.replacing import replacing


@dataclass(frozen=True)
class JobOptions:
    """Everything a worker needs, picklable. staging: folder of this cycle's reports, on storage all workers see.

    hash_key: the operator's secret; travels with the pipeline, is never printed (`repr` leaves it out).
    shards: groups of accounts that are folded and written apart (1 in one process).
    """

    lake: Path
    staging: Path
    name: str
    map_version: str
    source: Source
    now_ms: int
    hash_key: bytes = field(repr=False)
    log_format: str = "native"
    format_options: tuple[tuple[str, str], ...] = ()
    threads: int = 1
    shards: int = 1
    content_free: bool = False
    since_ms: int | None = None
    until_ms: int | None = None
    drops: tuple[str, ...] = ()


class Told(NamedTuple):
    """is_read: called once the slices of a cycle are read, with their bytes. is_measured: called with their reports."""

    is_read: Callable[[int], None]
    is_measured: Callable[[list[SliceReport]], None]


SEEN: Final[dict[str, Seen]] = {}
"""Events of earlier cycles by name of the cycle, for workers that are this process."""
TOLD: Final[dict[str, Told]] = {}
"""By name of the cycle: who is told how far it is, by workers that are this process."""
_ABANDONED: Final[set[str]] = set()
_CONTEXTS: Final[dict[tuple[str, str, bytes], Context]] = {}
_CONTEXT_LOCK: Final = threading.Lock()


def context_of(options: JobOptions) -> Context:
    """The worker's context; map and adapter are loaded once per process."""
    key = (str(options.lake), options.map_version, options.hash_key)
    with _CONTEXT_LOCK:
        held = _CONTEXTS.get(key)
        if held is None:
            quantiser = load(options.lake, options.map_version).quantiser
            held = Context(options.map_version, quantiser, HashKeys.derive(options.hash_key), options.now_ms)
            _CONTEXTS.clear()
            _CONTEXTS[key] = held
    log_format = (
        None
        if options.log_format == "native"
        else get_format(options.log_format, dict(options.format_options))
    )
    told = TOLD.get(options.name)
    return replace(
        held,
        is_read=told.is_read if told else held.is_read,
        now_ms=options.now_ms,
        threads=options.threads,
        log_format=log_format,
        content_free=options.content_free,
        since_ms=options.since_ms,
        until_ms=options.until_ms,
        seen=SEEN.get(options.name),
        is_abandoned=lambda: options.name in _ABANDONED,
    )


def _shards(rows: Rows, count: int) -> Iterator[tuple[int, Rows]]:
    """Rows by account, the same account always in the same shard."""
    if count == 1:
        yield 0, rows
        return
    names = rows.accounts.to_pylist()
    place = np.array([sum(name.encode()) % count for name in names], dtype=np.int64)[rows.codes]
    for shard in range(count):
        chosen = np.flatnonzero(place == shard)
        if len(chosen):
            yield shard, select(rows, chosen)


class MeasureSlices(beam.DoFn):  # type: ignore[misc]
    """Slices -> (shard, folded rows packed). Each slice's report is written to staging."""

    def __init__(self, options: JobOptions) -> None:
        self.options = options

    def process(self, element: Sequence[tuple[int, Slice]]) -> Iterator[tuple[int, bytes]]:
        options = self.options
        none = np.empty(0, dtype=np.int64)
        drops = [np.load(options.staging / name, allow_pickle=False) for name in options.drops]
        parts = [(part, drops[index] if drops else none) for index, part in element]
        packed: list[tuple[int, bytes]] = []
        loads = count(0, options.shards)

        def take(rows: Rows) -> None:
            # Each load has shards of its own, so that no worker ever holds two of one slice.
            first = next(loads)
            packed.extend((first + shard, pack(part)) for shard, part in _shards(rows, options.shards))

        reports = process(options.source, parts, context_of(options), take)
        if options.name in TOLD:
            TOLD[options.name].is_measured(reports)
        for (index, _), report in zip(element, reports, strict=True):
            _leave(options.staging / f"slice-{index:05d}.pickle", pickle.dumps(report))
        release_unused()
        yield from packed


class WriteHours(beam.DoFn):  # type: ignore[misc]
    """(shard, folded rows of all slices) -> one Parquet file per hour, named in staging, not yet committed."""

    def __init__(self, options: JobOptions) -> None:
        self.options = options

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        shard, parts = element
        options = self.options
        rows = fold(concat([unpack(part) for part in parts]))
        # A repeated bundle writes under another name: the last report wins and the other files are orphans.
        name = f"{options.name}-{shard:04d}-{os.urandom(4).hex()}.parquet"
        root = options.lake / "account_hours"

        def write_hour(hour: int, chosen: NDArray[np.int64]) -> Written:
            return write(root, to_arrow(select(rows, chosen)), hour_partition(hour), name, options.now_ms)

        with ThreadPoolExecutor(options.threads) as pool:
            written = list(pool.map(write_hour, *zip(*by_hour(rows), strict=True)))
        release_unused()
        write_json(options.staging / f"shard-{shard:04d}.json", [file.to_json() for file in written])
        yield shard


def by_hour(rows: Rows) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each hour with the places of its rows, hours ascending, accounts ascending."""
    order = np.argsort(rows.hours, kind="stable")
    ranked = rows.hours[order]
    for start, end in pairwise([0, *(np.flatnonzero(np.diff(ranked)) + 1).tolist(), len(ranked)]):
        yield int(ranked[start]), order[start:end]


def _leave(path: Path, data: bytes) -> None:
    with replacing(path, durable=False) as file:
        file.write(data)


def _bundles(slices: Sequence[Slice], shards: int) -> list[list[tuple[int, Slice]]]:
    """What is measured and folded together: in one process everything, else each slice for itself."""
    numbered = list(enumerate(slices))
    return [numbered] if shards == 1 else [[each] for each in numbered]


def run(
    slices: Sequence[Slice], options: JobOptions, runner: str, runner_options: Sequence[str] = ()
) -> None:
    """Measure, fold and write some slices; results lie in options.staging afterwards."""
    options.staging.mkdir(parents=True, exist_ok=True)
    beam_options = PipelineOptions(runner_flags(runner, runner_options), save_main_session=False)
    with beam.Pipeline(runner=make_runner(runner), options=beam_options) as pipeline:
        _ = (
            pipeline
            | "Slices" >> beam.Create(_bundles(slices, options.shards), reshuffle=options.shards > 1)
            | "ReadDecodeMeasureFold" >> beam.ParDo(MeasureSlices(options))
            | "ByAccounts" >> beam.GroupByKey()
            | "FoldWrite" >> beam.ParDo(WriteHours(options))
        )


def forget(options: JobOptions) -> None:
    """Remove what a job left beside the lake."""
    SEEN.pop(options.name, None)
    TOLD.pop(options.name, None)
    shutil.rmtree(options.staging, ignore_errors=True)


def abandon(options: JobOptions, work: Future[None]) -> None:
    """End a job that runs in this process at its next block, and remove whatever it wrote."""
    _ABANDONED.add(options.name)
    try:
        if work.exception() is None:
            remove_orphans(options.lake, written(options))
    finally:
        _ABANDONED.discard(options.name)
        forget(options)


def reports(options: JobOptions, count: int) -> list[SliceReport]:
    """The reports of the slices, in order."""
    found: list[SliceReport] = []
    for index in range(count):
        found.append(pickle.loads((options.staging / f"slice-{index:05d}.pickle").read_bytes()))  # noqa: S301
    return found


def written(options: JobOptions) -> list[Written]:
    """The files that the job wrote."""
    import json

    return [
        Written.from_json(entry)
        for path in sorted(options.staging.glob("shard-*.json"))
        for entry in json.loads(path.read_text())
    ]
