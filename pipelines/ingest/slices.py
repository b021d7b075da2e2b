"""One slice, from raw records to folded rows: what a worker does. Works without Beam.

Belongs here: the order read, convert, decode, drop repeats, measure, fold, and the report of a slice.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.decode import Decoded, decode, reason
from pipelines.ingest.fold import Rows, concat, fold
from pipelines.ingest.formats import Format
from pipelines.ingest.measure import HashKeys, event_hashes, measure
from pipelines.ingest.redact import shape
from pipelines.ingest.source import Block, RawReject, Slice, Source
from pipelines.ingest.texts import Quantiser
from schemas.account_hour import PRESENCE, REJECTS
from schemas.request import FIELD_INDEX

_PRESENCE_FIELDS: Final = [FIELD_INDEX[name] for name in PRESENCE]


@dataclass(frozen=True)
class Context:
    """What every worker needs besides a slice. drop: sorted hashes of events that another slice owns.

    log_format: adapter; None for the native record. now_ms: the clock of the cycle.
    """

    map_version: str
    quantiser: Quantiser
    keys: HashKeys
    now_ms: int
    threads: int = 1
    log_format: Format | None = None
    content_free: bool = False
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass
class SliceReport:
    """What came of a slice. events: sorted hashes of the measured event ids. reached: next position.

    rejects: table of schemas.account_hour.REJECTS, with line numbers still relative to the slice in `position`.
    """

    part: Slice
    reached: int
    complete: bool = False
    records: int = 0
    rows: int = 0
    duplicates: int = 0
    skipped: int = 0
    lines: int = 0
    newest_event_ms: int = 0
    presence: dict[str, int] = field(default_factory=dict)
    events: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rejects: pa.Table = field(default_factory=lambda: REJECTS.arrow().empty_table())


@dataclass(frozen=True)
class _Measured:
    rows: Rows | None
    events: NDArray[np.int64]
    presence: NDArray[np.int64]
    rejects: list[tuple[int, int, str, bytes]]
    records: int
    duplicates: int
    skipped: int
    lines: int
    newest_ms: int


def native(
    block: Block, log_format: Format | None
) -> tuple[Block, NDArray[np.int64], list[tuple[int, str]], int]:
    """(block of native records, line of each record, rejects by line, lines that are no call)."""
    if log_format is None:
        return block, np.arange(len(block)), [], 0
    converted = log_format.convert(block.records())
    sizes = np.array([len(record) for record in converted.records], dtype=np.int64)
    ends = np.cumsum(sizes + 1) - 1
    origins = np.array(converted.origins, dtype=np.int64)
    turned = Block(b"\n".join([*converted.records, b""]), ends - sizes, ends, block.positions[origins])
    return turned, origins, converted.rejects, len(converted.skipped)


def _wanted(decoded: Decoded, rows: NDArray[np.int64], context: Context) -> NDArray[np.int64]:
    times = decoded.event_times[rows]
    if context.since_ms is not None:
        rows = rows[times >= context.since_ms]
        times = decoded.event_times[rows]
    if context.until_ms is not None:
        rows = rows[times < context.until_ms]
    return rows


def _measure_block(block: Block, context: Context, drop: NDArray[np.int64]) -> _Measured:
    records, origins, refused, skipped = native(block, context.log_format)
    # What a client or gateway logged without its text was a call all the same; only the native record must have it.
    decoded = decode(records, context.now_ms, context.content_free or context.log_format is not None)
    valid = _wanted(decoded, decoded.valid, context)
    events = event_hashes(decoded, valid, context.keys)
    distinct, first = np.unique(events, return_index=True)
    if len(drop):
        fresh = ~np.isin(distinct, drop, assume_unique=True)
        distinct, first = distinct[fresh], first[fresh]
    chosen = valid[np.sort(first)]
    failed = np.flatnonzero(decoded.errors)
    rejects = [_reject(block, int(origins[i]), reason(int(decoded.errors[i]))) for i in failed]
    rejects += [_reject(block, line, why) for line, why in refused]
    rejects += [_raw_reject(block, raw) for raw in block.rejects]
    kinds = decoded.spans.kinds[_PRESENCE_FIELDS][:, chosen]
    return _Measured(
        measure(decoded, chosen, context.map_version, context.quantiser, context.keys)
        if len(chosen)
        else None,
        distinct,
        (kinds != 0).sum(axis=1),
        rejects,
        len(records) + len(refused) + len(block.rejects),
        len(valid) - len(chosen),
        skipped + block.skipped,
        block.lines,
        int(decoded.event_times[chosen].max()) if len(chosen) else 0,
    )


def _reject(block: Block, index: int, why: str) -> tuple[int, int, str, bytes]:
    position = int(block.positions[index])
    end = int(block.ends[index])
    after = position + 1 if block.base is None else block.base + end
    return position, after, why, block.payload[int(block.starts[index]) : end]


def _raw_reject(block: Block, raw: RawReject) -> tuple[int, int, str, bytes]:
    after = raw.position + 1 if block.base is None else block.base
    return raw.position, after, raw.reason, raw.raw


def _blocks(source: Source, part: Slice, context: Context, drop: NDArray[np.int64]) -> Iterator[_Measured]:
    """Measured blocks in order; while one is waited for, others are read and measured by threads."""
    if context.threads == 1:
        for block in source.read(part):
            yield _measure_block(block, context, drop)
        return
    with ThreadPoolExecutor(context.threads) as pool:
        waiting: list[Future[_Measured]] = []
        for block in source.read(part):
            waiting.append(pool.submit(_measure_block, block, context, drop))
            if len(waiting) > context.threads:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def process(
    source: Source, part: Slice, context: Context, drop: NDArray[np.int64]
) -> tuple[Rows | None, SliceReport]:
    """Rows folded over a slice, and its report. drop: sorted hashes of events to leave out.

    A repeat within the slice is found after its block was measured; the slice is then measured once more
    without it, which is rare and keeps the common path free of any order between blocks.
    """
    parts = list(_blocks(source, part, context, drop))
    events = np.concatenate([p.events for p in parts]) if parts else np.empty(0, dtype=np.int64)
    distinct = np.unique(events)
    if len(distinct) < len(events):
        parts = list(_once(source, part, context, drop))
    reached, complete = source.reached(part)
    report = SliceReport(part, reached, complete, events=distinct)
    presence = np.zeros(len(PRESENCE), dtype=np.int64)
    rejects: list[tuple[int, int, str, bytes]] = []
    for measured in parts:
        rejects += [(line, after, why, raw) for line, after, why, raw in measured.rejects]
        report.records += measured.records
        report.duplicates += measured.duplicates
        report.skipped += measured.skipped
        report.lines += measured.lines
        report.rows += len(measured.events)
        report.newest_event_ms = max(report.newest_event_ms, measured.newest_ms)
        presence += measured.presence
    report.presence = dict(zip(PRESENCE, presence.tolist(), strict=True))
    report.rejects = _reject_table(part, rejects, context.now_ms)
    rows = [measured.rows for measured in parts if measured.rows is not None]
    return (fold(concat(rows)) if rows else None), report


def _once(source: Source, part: Slice, context: Context, drop: NDArray[np.int64]) -> Iterator[_Measured]:
    """Blocks in turn, each without the events of those before it."""
    for block in source.read(part):
        measured = _measure_block(block, context, drop)
        drop = np.union1d(drop, measured.events)
        yield measured


def _reject_table(part: Slice, rejects: list[tuple[int, int, str, bytes]], now_ms: int) -> pa.Table:
    columns = {
        "source": [part.uri] * len(rejects),
        "app_id": [part.app_id] * len(rejects),
        "position": [str(position) for position, _, _, _ in rejects],
        "offset": [after for _, after, _, _ in rejects],
        "reason": [why for _, _, why, _ in rejects],
        "size": [len(raw) for _, _, _, raw in rejects],
        "copy": [shape(raw) for _, _, _, raw in rejects],
        "rejected_at_ms": [now_ms] * len(rejects),
    }
    return pa.table(columns, schema=REJECTS.arrow())
