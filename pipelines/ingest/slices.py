"""Slices, from raw records to folded rows: what a worker does. Works without Beam.

Belongs here: the order read, convert, decode, drop repeats, measure, fold, and the report of a slice.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.decode import Decoded, decode, reason
from pipelines.ingest.fold import Rows
from pipelines.ingest.folder import Folder
from pipelines.ingest.formats import Format
from pipelines.ingest.measure import HashKeys, event_hashes, measure_requests
from pipelines.ingest.memory import give_back
from pipelines.ingest.quantise import Quantiser
from pipelines.ingest.redact import shape
from pipelines.ingest.requests import Requests
from pipelines.ingest.source import Block, RawReject, Slice, Source
from pipelines.ingest.vectors import embedding_length
from pipelines.lake.events import Seen
from schemas.account_hour import PRESENCE, REJECTS
from schemas.request import FIELD_INDEX

_PRESENCE_FIELDS: Final = [FIELD_INDEX[name] for name in PRESENCE]


@dataclass(frozen=True)
class Context:
    """What every worker needs besides a slice.

    log_format: adapter; None for the native record. now_ms: the clock of the cycle. seen: which events (hashes)
    earlier cycles own, where the worker can know; the coordinator looks in any case. is_read: is told, once all slices
    are read, how many bytes they hold. is_abandoned: whether nobody waits for the result any more, so that the rest
    need not be read.
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
    seen: Seen | None = None
    is_read: Callable[[int], None] = lambda size: None
    is_abandoned: Callable[[], bool] = lambda: False


@dataclass
class SliceReport:
    """What came of a slice. events: sorted hashes of the measured event ids. reached: next position.

    rejects: table of schemas.account_hour.REJECTS, with line numbers still relative to the slice in `position`.
    bytes: of the records as they were read. lost: ranges of positions that were gone before they were read.
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
    bytes: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    presence: dict[str, int] = field(default_factory=dict)
    events: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rejects: pa.Table = field(default_factory=lambda: REJECTS.arrow().empty_table())


@dataclass(frozen=True)
class _Measured:
    requests: Requests | None
    events: NDArray[np.int64]
    presence: NDArray[np.int64]
    rejects: list[tuple[int, int, str, bytes]]
    records: int
    duplicates: int
    skipped: int
    lines: int
    newest_ms: int
    size: int
    lost: list[tuple[int, int]]


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
    """Measure one block, which is used up: its buffer goes to the next one."""
    records, origins, refused, skipped = native(block, context.log_format)
    # What a client or gateway logged without its text was a call all the same; only the native record must have it.
    content_free = context.content_free or context.log_format is not None
    decoded = decode(records, context.now_ms, content_free, embedding_length(context.quantiser))
    valid = _wanted(decoded, decoded.valid, context)
    events = event_hashes(decoded, valid, context.keys)
    distinct, first = _distinct(events)
    fresh = _fresh(distinct, drop, context)
    if fresh is not None:
        distinct, first = distinct[fresh], first[fresh]
    chosen = valid if len(first) == len(valid) else valid[np.sort(first)]
    failed = np.flatnonzero(decoded.errors)
    rejects = [_reject(block, int(origins[i]), reason(int(decoded.errors[i]))) for i in failed]
    rejects += [_reject(block, line, why) for line, why in refused]
    rejects += [_raw_reject(block, raw) for raw in block.rejects]
    kinds = decoded.spans.kinds[_PRESENCE_FIELDS][:, chosen]
    measured = _Measured(
        measure_requests(decoded, chosen, context.map_version, context.quantiser, context.keys)
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
        len(block.payload),
        block.lost,
    )
    decoded.release()
    if block.text is not None and records is not block:
        give_back(block.text)
    return measured


def _reject(block: Block, index: int, why: str) -> tuple[int, int, str, bytes]:
    position = int(block.positions[index])
    end = int(block.ends[index])
    after = position + 1 if block.base is None else block.base + end
    return position, after, why, bytes(block.payload[int(block.starts[index]) : end])


def _raw_reject(block: Block, raw: RawReject) -> tuple[int, int, str, bytes]:
    after = raw.position + 1 if block.base is None else block.base
    return raw.position, after, raw.reason, raw.raw


def _distinct(events: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values ascending, and where each occurs first. (`np.unique` takes twenty times as long.)"""
    order = np.argsort(events)
    ranked = events[order]
    is_new = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=is_new[1:])
    if is_new.all():
        return ranked, order
    starts = np.flatnonzero(is_new)
    return ranked[starts], np.minimum.reduceat(order, starts)


def _fresh(events: NDArray[np.int64], drop: NDArray[np.int64], context: Context) -> NDArray[np.bool_] | None:
    """Which of the sorted events are nobody else's; None when all are."""
    taken = np.isin(events, drop, assume_unique=True) if len(drop) else np.zeros(len(events), np.bool_)
    if context.seen is not None:
        taken |= context.seen(events)
    return ~taken if taken.any() else None


def process(
    source: Source,
    parts: Sequence[tuple[Slice, NDArray[np.int64]]],
    context: Context,
    take: Callable[[Rows], None],
) -> list[SliceReport]:
    """Measure some slices; returns a report of each.

    parts: slices, each with the sorted hashes of events to leave out of it. take: is given their rows, folded,
    at most about MOST_ROWS at once. Threads measure blocks ahead of the one that is waited for, across slices.
    """
    reports: list[SliceReport] = []
    with ThreadPoolExecutor(context.threads) as pool:
        folder = Folder(take, run=pool.map)
        for part, drop, reached, measured in _slices(source, parts, context, pool):
            report, requests = _finish(source, part, drop, reached, measured, context)
            reports.append(report)
            del measured
            while requests:
                folder.add(requests.pop(0))
        folder.finish()
    return reports


_Reached = tuple[int, bool]


def _slices(
    source: Source,
    parts: Sequence[tuple[Slice, NDArray[np.int64]]],
    context: Context,
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Slice, NDArray[np.int64], _Reached, list[_Measured]]]:
    """Each slice with its measured blocks, in order; at most threads + 1 blocks are under way."""
    under_way: deque[Future[_Measured]] = deque()
    waiting: deque[tuple[Slice, NDArray[np.int64], _Reached, list[Future[_Measured]]]] = deque()
    size = 0
    for part, drop in parts:
        blocks: list[Future[_Measured]] = []
        for block in source.read(part):
            if context.is_abandoned():
                break
            if len(under_way) > context.threads:
                under_way.popleft().result()
            size += len(block.payload)
            future = pool.submit(_measure_block, block, context, drop)
            under_way.append(future)
            blocks.append(future)
        waiting.append((part, drop, source.reached(part), blocks))
        while waiting and all(future.done() for future in waiting[0][3]):
            yield _results(waiting.popleft())
    context.is_read(size)
    while waiting:
        yield _results(waiting.popleft())


def _results(
    read: tuple[Slice, NDArray[np.int64], _Reached, list[Future[_Measured]]],
) -> tuple[Slice, NDArray[np.int64], _Reached, list[_Measured]]:
    part, drop, reached, futures = read
    return part, drop, reached, [future.result() for future in futures]


def _finish(
    source: Source,
    part: Slice,
    drop: NDArray[np.int64],
    reached: _Reached,
    blocks: list[_Measured],
    context: Context,
) -> tuple[SliceReport, list[Requests]]:
    """The report and the measured requests of a slice.

    A repeat within the slice is found after its blocks were measured; the slice is then measured once more
    without it, which is rare and keeps the common path free of any order between blocks.
    """
    events = np.sort(np.concatenate([b.events for b in blocks])) if blocks else np.empty(0, dtype=np.int64)
    if np.any(events[1:] == events[:-1]):
        blocks = list(_once(source, part, context, drop))
        events = np.sort(np.concatenate([b.events for b in blocks]))
    report = SliceReport(part, *reached, events=events)
    presence = np.zeros(len(PRESENCE), dtype=np.int64)
    rejects: list[tuple[int, int, str, bytes]] = []
    for measured in blocks:
        rejects += measured.rejects
        report.records += measured.records
        report.duplicates += measured.duplicates
        report.skipped += measured.skipped
        report.lines += measured.lines
        report.rows += len(measured.events)
        report.newest_event_ms = max(report.newest_event_ms, measured.newest_ms)
        report.bytes += measured.size
        report.lost += measured.lost
        presence += measured.presence
    report.presence = dict(zip(PRESENCE, presence.tolist(), strict=True))
    report.rejects = _reject_table(part, rejects, context.now_ms)
    return report, [measured.requests for measured in blocks if measured.requests is not None]


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
