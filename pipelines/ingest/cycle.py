"""A cycle: plan, run, commit. The lake's transaction is the arbiter, whatever the engine does.

Belongs here: how a cycle is put together and repeated. The pipeline is in `job`, the transaction in
`pipelines.lake.commit`.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import ScarecrowError
from pipelines.ingest import job
from pipelines.ingest.ahead import Ahead, Begun
from pipelines.ingest.files import tail_hash
from pipelines.ingest.slices import SliceReport
from pipelines.ingest.source import Slice, Source
from pipelines.lake.commit import (
    Advance,
    Conflict,
    Standing,
    commit,
    event_union,
    stand,
    standing_note,
)
from pipelines.lake.events import Seen, SeenEvents
from pipelines.lake.notes import MOST_LOST_RANGES, Note
from pipelines.lake.tables import Lake
from pipelines.lake.write import Written, remove_orphans


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest. cycle_bytes: input per commit. threads: cores of this machine to use.

    runner_options: Beam flags, for example --dask_client_address. dedup_horizon: events of the lake over which
    event_id is unique. hash_key: the operator's secret.
    """

    hash_key: bytes = field(repr=False)
    map_version: str
    runner: str = "inprocess"
    runner_options: tuple[str, ...] = ()
    threads: int = 1
    shards: int = 1
    cycle_bytes: int = 256 << 20
    dedup_horizon: int = 4_000_000
    log_format: str = "native"
    format_options: tuple[tuple[str, str], ...] = ()
    content_free: bool = False
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True)
class CycleReport:
    """What a cycle did. version: of account_hours after it. newest_event_ms: newest event time of the cycle.
    bytes: of the records that were read. lost: records that were gone before they were read."""

    version: int
    slices: int
    bytes: int
    records: int
    rows: int
    rejects: int
    duplicates: int
    skipped: int
    files: int
    newest_event_ms: int
    positions: dict[str, int]
    lost: int = 0


Clock = Callable[[], int]
"""Epoch milliseconds."""
BeforeCommit = Callable[[pa.Table], None]
"""Is given a cycle's rejects (schemas.account_hour.REJECTS) before anything of it is committed, perhaps again and
again: a cycle that fails or conflicts is done anew."""


def cycles(lake: Lake, source: Source, options: IngestOptions, now: Clock) -> Iterator[CycleReport]:
    """Cycles until the source has nothing new."""
    seen = SeenEvents(lake.path, options.dedup_horizon)
    while True:
        try:
            report = run_cycle(lake, source, options, seen, now)
        except Conflict:
            continue
        if report is None:
            return
        yield report


def run_cycle(
    lake: Lake,
    source: Source,
    options: IngestOptions,
    seen: SeenEvents,
    now: Clock,
    before_commit: BeforeCommit = lambda rejects: None,
    ahead: Ahead | None = None,
) -> CycleReport | None:
    """Plan, run and commit once; None when there is nothing new. Raises Conflict when another was first.

    ahead: where the next cycle is begun as soon as this one is read, if much is waiting; the next call goes on with
    it. What it plans begins where this cycle ends, and is committed after it or not at all.
    """
    standing = stand(lake)
    seen.follow(standing.chain)
    begun = ahead.take(standing.position, (lake, source, options)) if ahead else None
    if begun is None:
        slices = source.plan(standing.position, options.cycle_bytes)
        if not slices:
            return None
        bases = {part.app_id: standing.position(part.app_id) for part in slices}
        begun = _begin(lake, source, options, seen.seen, now, slices, bases, ahead)
    try:
        if ahead:
            begun.wait_until_read()
            _look_ahead(begun, lake, source, options, seen, now, standing, ahead)
        begun.work.result()
        return _settle(begun, lake, source, options, seen, standing, before_commit)
    finally:
        job.forget(begun.settings)


def _begin(
    lake: Lake,
    source: Source,
    options: IngestOptions,
    seen: Seen,
    now: Clock,
    slices: Sequence[Slice],
    bases: dict[str, int | None],
    ahead: Ahead | None,
) -> Begun:
    """Start the pipeline of some slices, in another thread where there is one. bases: see `Begun`."""
    name = uuid.uuid4().hex
    settings = job.JobOptions(
        lake.path, lake.path / "_staging" / name, name, options.map_version, source, now(), options.hash_key,
        options.log_format, options.format_options, options.threads, options.shards, options.content_free,
        options.since_ms, options.until_ms,
    )  # fmt: skip
    begun = Begun(slices, settings, bases, (lake, source, options))
    if options.runner == "inprocess":
        job.SEEN[name] = seen
        job.TOLD[name] = job.Told(begun.is_read, begun.is_measured)

    def run() -> None:
        job.run(slices, settings, options.runner, options.runner_options)

    if ahead:
        begun.run_in(ahead.pool, run)
    else:
        try:
            run()
        except BaseException:
            job.forget(settings)
            raise
        begun.work.set_result(None)
    return begun


def _look_ahead(
    begun: Begun,
    lake: Lake,
    source: Source,
    options: IngestOptions,
    seen: SeenEvents,
    now: Clock,
    standing: Standing,
    ahead: Ahead,
) -> None:
    """Begin the next cycle while this one is folded and written, unless little is waiting or nobody knows where this
    one ends (streams). Its first blocks wait for the events of this one."""
    if begun.size < options.cycle_bytes // 2:
        return
    if any(_is_stream(part) for part in begun.slices):
        return
    ends = {part.app_id: part.end for part in begun.slices}
    places = {part.app_id: dict(part.options).get("path") for part in begun.slices}

    def committed(app_id: str) -> int | None:
        return ends[app_id] if app_id in ends else standing.position(app_id)

    try:
        slices = source.plan(committed, options.cycle_bytes)
    except ScarecrowError:
        # Said when its turn comes.
        return
    if not slices or any(_is_stream(part) for part in slices):
        return
    if any(places.get(part.app_id) not in (None, dict(part.options).get("path")) for part in slices):
        return

    def expect() -> Seen:
        begun.wait_until_measured()
        return seen.seen_or_among(event_union([report.events for report in begun.reports]))

    expected = ahead.pool.submit(expect)
    # Of no use where this one is not committed, even if it goes on elsewhere: its events count as seen.
    bases = {part.app_id: committed(part.app_id) for part in (*begun.slices, *slices)}
    ahead.hold(
        _begin(lake, source, options, lambda events: expected.result()(events), now, slices, bases, ahead)
    )


def _is_stream(part: Slice) -> bool:
    return dict(part.options).get("stream") == "yes"


def _settle(
    begun: Begun,
    lake: Lake,
    source: Source,
    options: IngestOptions,
    seen: SeenEvents,
    standing: Standing,
    before_commit: BeforeCommit,
) -> CycleReport:
    """Drop repeats, commit, and tell the source."""
    slices, settings = begun.slices, begun.settings
    name = settings.name
    reports = job.reports(settings, len(slices))
    drops = _repeats(reports, seen)
    if any(len(drop) for drop in drops):
        settings = _without(settings, drops)
        job.run(slices, settings, options.runner, options.runner_options)
        reports = job.reports(settings, len(slices))
    files = job.written(settings)
    try:
        advances, rejects = _advances(lake, standing, reports, settings.now_ms)
        _announce(before_commit, rejects, lake, files)
        chain = seen.extend(event_union([report.events for report in reports]), name)
        version = commit(lake, standing, advances, files, rejects, chain, name, settings.now_ms)
    except Conflict:
        remove_orphans(lake.path, files)
        raise
    seen.follow(chain)
    positions = {advance.note.app_id: advance.note.position for advance in advances}
    source.acknowledge(positions)
    return CycleReport(
        version,
        len(slices),
        sum(report.bytes for report in reports),
        sum(report.records for report in reports),
        sum(report.rows for report in reports),
        rejects.num_rows,
        sum(report.duplicates for report in reports),
        sum(report.skipped for report in reports),
        len(files),
        max(report.newest_event_ms for report in reports),
        positions,
        sum(end - start for report in reports for start, end in report.lost),
    )


def _announce(before_commit: BeforeCommit, rejects: pa.Table, lake: Lake, files: Sequence[Written]) -> None:
    try:
        before_commit(rejects)
    except ScarecrowError:
        remove_orphans(lake.path, files)
        raise


def _repeats(reports: Sequence[SliceReport], seen: SeenEvents) -> list[NDArray[np.int64]]:
    """For each slice the events that an earlier cycle or an earlier slice of this cycle owns."""
    everything = np.sort(np.concatenate([report.events for report in reports]))
    twice = everything[1:][everything[1:] == everything[:-1]]
    drops = []
    owned = np.empty(0, dtype=np.int64)
    for report in reports:
        repeated = seen.seen(report.events)
        if len(twice):
            shared = np.isin(report.events, twice, assume_unique=True)
            repeated |= shared & np.isin(report.events, owned, assume_unique=True)
            owned = np.union1d(owned, report.events[shared])
        drops.append(report.events[repeated])
    return drops


def _without(settings: job.JobOptions, drops: Sequence[NDArray[np.int64]]) -> job.JobOptions:
    """Options for a second run that leaves the repeats out; the first run's files become orphans at once."""
    for file in job.written(settings):
        (settings.lake / "account_hours" / file.path).unlink(missing_ok=True)
    staging = settings.staging / "again"
    staging.mkdir()
    names = []
    for index, drop in enumerate(drops):
        names.append(f"drop-{index:05d}.npy")
        np.save(staging / names[-1], drop, allow_pickle=False)
    return replace(settings, staging=staging, drops=tuple(names))


def _advances(
    lake: Lake, standing: Standing, reports: Sequence[SliceReport], now_ms: int
) -> tuple[list[Advance], pa.Table]:
    """Notes at the new positions, and the rejects with absolute positions."""
    starts: dict[str, int] = {}
    notes: dict[str, Note] = {}
    tables = []
    for report in reports:
        part = report.part
        note = notes.get(part.app_id)
        if note is None:
            starts[part.app_id] = part.start
            note = standing_note(lake, standing, part.app_id) or Note(part.uri, part.label, part.app_id)
            notes[part.app_id] = note
        tables.append(_placed(report, note.lines))
        note.label = part.label
        note.position = report.reached
        note.records += report.records
        note.rows += report.rows
        note.rejects += report.rejects.num_rows
        note.duplicates += report.duplicates
        note.skipped += report.skipped
        note.lines += report.lines
        note.newest_event_ms = max(note.newest_event_ms, report.newest_event_ms)
        note.updated_at_ms = now_ms
        note.complete = report.complete
        note.lost = [*note.lost, *report.lost][-MOST_LOST_RANGES:]
        note.lost_records += sum(end - start for start, end in report.lost)
        for field_name, count in report.presence.items():
            note.presence[field_name] = note.presence.get(field_name, 0) + count
        options: dict[str, Any] = dict(part.options)
        if options.get("stream") == "no" and "path" in options:
            note.tail = tail_hash(options["path"], note.position)
    return [Advance(starts[app_id], note) for app_id, note in notes.items()], pa.concat_tables(tables)


def _placed(report: SliceReport, lines_before: int) -> pa.Table:
    """Rejects with `file:line` (counted from 1) or `topic[partition]@offset`."""
    table = report.rejects
    if table.num_rows == 0:
        return table
    first = lines_before + 1 if "stream" in dict(report.part.options) else 0
    positions = [f"{report.part.label}{int(p) + first}" for p in table["position"].to_pylist()]
    index = table.schema.get_field_index("position")
    return table.set_column(index, table.schema.field(index), pa.array(positions, pa.string()))
