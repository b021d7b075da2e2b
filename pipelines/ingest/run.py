"""`scarecrow ingest` as a function: source, map, cycles, progress; once or for as long as it runs.

Belongs here: what surrounds cycles. Not here: the command line (`pipelines.cli.ingest`).
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.ahead import Ahead
from pipelines.ingest.cycle import BeforeCommit, Clock, CycleReport, IngestOptions, run_cycle
from pipelines.ingest.files import FileSource
from pipelines.ingest.formats import get_format
from pipelines.ingest.source import Source
from pipelines.ingest.streams import STDIN, closing_streams
from pipelines.lake.commit import Conflict, stand
from pipelines.lake.events import SeenEvents
from pipelines.lake.looks import write_looks
from pipelines.lake.space import telling_full_disk
from pipelines.lake.tables import Lake
from pipelines.prompt_map.prepare import FirstMap, FitReport
from pipelines.prompt_map.store import NO_MAP
from pipelines.settings import Settings, hash_key
from pipelines.stopping import Stop

if TYPE_CHECKING:
    from pipelines.ingest.health import Health

log = logging.getLogger(__name__)

KAFKA: Final = "kafka://"
_POLL_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 10.0
"""How often a follower looks at where its source ends, for /metrics and the mart."""
OUTAGE_SECONDS: Final = 900.0
"""How long a broker that is away is waited for while following."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Totals:
    """What an ingest has done so far."""

    cycles: int = 0
    bytes: int = 0
    records: int = 0
    rows: int = 0
    rejects: int = 0
    duplicates: int = 0
    skipped: int = 0
    version: int = 0
    newest_event_ms: int = 0
    lost: int = 0

    def add(self, report: CycleReport) -> None:
        """Count one cycle."""
        self.cycles += 1
        self.version = report.version
        self.newest_event_ms = max(self.newest_event_ms, report.newest_event_ms)
        for name in ("bytes", "records", "rows", "rejects", "duplicates", "skipped", "lost"):
            setattr(self, name, getattr(self, name) + getattr(report, name))


def options_of(
    settings: Settings, format_options: tuple[tuple[str, str], ...] = (), content_free: bool = False
) -> IngestOptions:
    """What the settings say of how to ingest; ingest.format is the format's name."""
    workers = settings.ingest.worker_count()
    return IngestOptions(
        hash_key=hash_key(settings),
        map_version=NO_MAP,
        runner=settings.ingest.runner,
        threads=workers,
        shards=1 if settings.ingest.runner == "inprocess" else workers,
        cycle_bytes=settings.ingest.cycle_mib << 20,
        dedup_horizon=settings.ingest.dedup_horizon,
        log_format=settings.ingest.format,
        format_options=format_options,
        content_free=content_free,
    )


def open_source(
    uri: str,
    lake: Path,
    slice_bytes: int,
    follow: bool,
    since_ms: int | None = None,
    until_ms: int | None = None,
    settings_file: Path | None = None,
) -> Source:
    """The source that an address names. settings_file: where a topic's settings are, instead of the usual places."""
    if uri.startswith(KAFKA):
        from pipelines.ingest.kafka import KafkaSource

        return KafkaSource(uri, since_ms, until_ms, settings_file=settings_file)
    if "://" in uri:
        raise UsageError(
            f"source {uri} is of no known kind; give files, - for standard input, or kafka://HOST:PORT/TOPIC"
        )
    if uri == STDIN and follow:
        raise UsageError("source - cannot be followed; leave --follow out, it is read until it ends")
    source = FileSource(uri, lake, slice_bytes, complete=not follow)
    if not follow:
        source.paths()
    return source


def ingest(
    lake: Lake,
    uri: str,
    source: Source,
    options: IngestOptions,
    now: Clock,
    follow: bool = False,
    stop: Stop | None = None,
    on_map: Callable[[FitReport], None] = lambda report: None,
    on_cycle: Callable[[CycleReport, Totals], None] = lambda report, totals: None,
    on_idle: Callable[[Totals], None] = lambda totals: None,
    health: "Health | None" = None,
    before_commit: BeforeCommit = lambda rejects: None,
    cycle_seconds: float = 0.0,
) -> Totals:
    """Ingest until the source has nothing new, or with follow until `stop`.

    options.map_version `none` means: the lake's own map, fitted first if need be. health: told of every cycle.
    before_commit: see `cycle.BeforeCommit`. cycle_seconds: from the beginning of one cycle to that of the next while
    following, unless the source is ahead by half a cycle's budget; fewer commits cost less and make fewer files.
    While following, a broker that is away is waited for, for OUTAGE_SECONDS at most; Kafka shares the partitions
    among all processes that follow the topic in one group.
    """
    if uri == STDIN and options.runner != "inprocess":
        raise UsageError(
            f"source - is read by this process and --runner {options.runner} by others; leave --runner out, or "
            "save the log to a file"
        )
    lake.create()
    stop = stop or Stop()
    totals = Totals()
    seen = SeenEvents(lake.path, options.dedup_horizon)
    first = FirstMap(lake.path, options.hash_key)
    log_format = (
        None
        if options.log_format == "native"
        else get_format(options.log_format, dict(options.format_options))
    )
    told = ""
    looked = time.monotonic()
    with telling_full_disk(lake.path), _membership(source, uri, follow), closing_streams(), Ahead() as ahead:
        while not stop.event.is_set():
            began = time.monotonic()
            if options.map_version == NO_MAP or told == "":
                chosen = _patiently(follow, stop, health, first.version, source, uri, log_format, now())
                if chosen is None:
                    break
                if chosen.version != told:
                    told = chosen.version
                    on_map(chosen)
                options = replace(options, map_version=chosen.version)
            report = _patiently(
                follow, stop, health, _cycle, lake, source, options, seen, now, before_commit, ahead
            )
            if report is not None:
                totals.add(report)
                on_cycle(report, totals)
                if health is not None:
                    health.committed(report, time.monotonic() - began)
            elif not follow:
                break
            else:
                on_idle(totals)
                if health is not None:
                    health.alive()
            if follow and time.monotonic() - looked >= LOOK_SECONDS:
                look(lake, source, now(), health)
                looked = time.monotonic()
            if follow and (report is None or report.bytes < options.cycle_bytes // 2):
                pause = _POLL_SECONDS if report is None else cycle_seconds - (time.monotonic() - began)
                stop.event.wait(max(0.0, pause))
    if not follow:
        look(lake, source, now(), health)
    return totals


def look(lake: Lake, source: Source, now_ms: int, health: "Health | None" = None) -> None:
    """Note where each partition of the source ends, for the mart and /metrics: advice, so a failure is logged only."""
    try:
        found = source.status(stand(lake).position)
    except ScarecrowError as error:
        log.info("lag is not known at the moment: %s", error)
        return
    try:
        write_looks(lake.path, found, now_ms)
    except OSError as error:
        log.info("lag could not be noted: %s", error.strerror)
    if health is not None:
        health.lag(found)


@contextmanager
def _membership(source: Source, uri: str, follow: bool) -> Iterator[None]:
    """Membership of the topic's consumer group for as long as it is followed."""
    if not (follow and uri.startswith(KAFKA)):
        yield
        return
    from pipelines.ingest.kafka import KafkaSource

    assert isinstance(source, KafkaSource)
    source.join_group()
    try:
        yield
    finally:
        source.close()


def _patiently(
    follow: bool,
    stop: Stop,
    health: "Health | None",
    work: Callable[P, T],
    *args: P.args,
    **options: P.kwargs,
) -> T | None:
    """Do some work; while following, again, with jitter, as long as the broker is away. None when stopped meanwhile."""
    if not follow:
        return work(*args, **options)

    def away(error: BaseException) -> bool:
        if not isinstance(error, ScarecrowError):
            return False
        from pipelines.ingest.kafka.errors import KafkaUnavailable

        if isinstance(error, KafkaUnavailable) and not stop.event.is_set():
            if health is not None:
                health.in_trouble(str(error))
            return True
        return False

    def pause(seconds: float) -> None:
        stop.event.wait(seconds)

    attempts = Retrying(
        retry=retry_if_exception(away),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        stop=stop_after_delay(OUTAGE_SECONDS),
        sleep=pause,
        reraise=True,
    )
    try:
        return attempts(work, *args, **options)
    except ScarecrowError:
        if stop.event.is_set():
            return None
        raise


def _is_to_be_planned_again(error: BaseException) -> bool:
    if isinstance(error, Conflict):
        return True
    if not isinstance(error, ScarecrowError):
        return False
    # Kafka's clients take a third of a second to import: not for an ingest of files.
    from pipelines.ingest.kafka.errors import TopicChanged

    return isinstance(error, TopicChanged)


def _cycle(
    lake: Lake,
    source: Source,
    options: IngestOptions,
    seen: SeenEvents,
    now: Clock,
    before_commit: BeforeCommit,
    ahead: Ahead,
) -> CycleReport | None:
    """One cycle; begun again, with jitter, when another process committed first or the topic changed."""
    attempts = Retrying(
        retry=retry_if_exception(_is_to_be_planned_again),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_delay(600),
    )
    try:
        return attempts(run_cycle, lake, source, options, seen, now, before_commit, ahead)
    except RetryError as error:
        raise ScarecrowError(
            f"lake {lake.path} was committed to by others for ten minutes without a gap; run fewer ingests on it"
        ) from error
