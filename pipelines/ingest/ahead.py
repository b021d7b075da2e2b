"""A cycle that is begun before the one in front of it is committed, so that no core waits while one is written.

Belongs here: at most one such cycle, and when it may still be used. It is planned from where the lake will stand if all
goes well; nothing of it is committed before the lake stands there, and it is dropped where the lake does not.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pipelines.ingest import job
from pipelines.ingest.slices import SliceReport
from pipelines.ingest.source import Committed, Slice


@dataclass
class Begun:
    """A cycle whose pipeline runs, or has run.

    bases: what was thought to be committed of each source partition when it was planned. origin: what it was begun for,
    compared by `Ahead.take`. size: bytes of its slices, once they are read, 0 where a worker is another process.
    reports: of its slices, once they are measured, empty there.
    """

    slices: Sequence[Slice]
    settings: job.JobOptions
    bases: Mapping[str, int | None]
    origin: object
    size: int = 0
    reports: list[SliceReport] = field(default_factory=list)
    work: Future[None] = field(default_factory=Future)
    _read: threading.Event = field(default_factory=threading.Event)
    _measured: threading.Event = field(default_factory=threading.Event)

    def run_in(self, pool: ThreadPoolExecutor, run: Callable[[], None]) -> None:
        """Run the pipeline in another thread."""
        self.work = pool.submit(run)
        self.work.add_done_callback(lambda _: self._is_over())

    def _is_over(self) -> None:
        self._read.set()
        self._measured.set()

    def is_read(self, size: int) -> None:
        """Called by the worker when only the last blocks are being measured."""
        self.size = size
        self._read.set()

    def is_measured(self, reports: list[SliceReport]) -> None:
        """Called by the worker when only folding and writing remain."""
        self.reports = reports
        self._measured.set()

    def wait_until_read(self) -> None:
        """Returns when it is, or when the pipeline has ended."""
        self._read.wait()

    def wait_until_measured(self) -> None:
        """Returns when it is, or when the pipeline has ended."""
        self._measured.wait()


class Ahead:
    """The cycle that was begun ahead, if there is one, and the threads in which pipelines run and one waits."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(3, "cycle")
        self._held: Begun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
        self.pool.shutdown()

    def hold(self, begun: Begun) -> None:
        """Keep a cycle for `take`."""
        self._held = begun

    def take(self, committed: Committed, origin: object) -> Begun | None:
        """The cycle, if the lake stands where it begins and it was begun for the same; else it is dropped."""
        begun = self._held
        if begun is None:
            return None
        is_due = begun.origin == origin and all(committed(app_id) == at for app_id, at in begun.bases.items())
        if not is_due or (begun.work.done() and begun.work.exception() is not None):
            self.drop()
            return None
        self._held = None
        return begun

    def drop(self) -> None:
        """Give the cycle up and remove what it wrote."""
        begun, self._held = self._held, None
        if begun is not None:
            job.abandon(begun.settings, begun.work)
