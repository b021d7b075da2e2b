"""Progress of an ingest: a live line on a terminal, plain lines elsewhere, or log records (`--log-json`); always on
standard error."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from pipelines.cli.logs import FIELDS
from pipelines.ingest.cycle import CycleReport
from pipelines.ingest.run import Totals
from pipelines.prompt_map.prepare import FitReport
from pipelines.prompt_map.store import NO_MAP

log = logging.getLogger(__name__)


class IngestProgress:
    """Tells how far an ingest is."""

    def __init__(self, source: str, quiet: bool, is_logged: bool = False) -> None:
        self._source = source
        self._quiet = quiet or is_logged
        self._is_logged = is_logged
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._began = time.monotonic()
        self._status: Status | None = None
        self._last_line = self._began

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._status = self._console.status("reading")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text)

    def on_map(self, report: FitReport) -> None:
        """Tell which prompt map is used."""
        if self._is_logged:
            log.info("prompt map", extra={FIELDS: {"map_version": report.version, "fitted": report.fitted}})
        if report.fitted:
            self._say(
                f"prompt map {report.version}: fitted to {report.prompts:,} distinct {report.kind}s of this input"
            )
        elif report.version == NO_MAP:
            self._say(
                f"no prompt map yet: this input has {report.prompts:,} distinct {report.kind}s, too few to fit one; "
                "its requests are counted but have no cells until a larger input fits a map"
            )
        else:
            self._say(f"prompt map {report.version}")

    def on_cycle(self, report: CycleReport, totals: Totals) -> None:
        """Tell of a committed cycle."""
        if self._is_logged:
            told = {"version": report.version, "slices": report.slices, "files": report.files}
            counts = ("bytes", "records", "rows", "rejects", "duplicates", "skipped", "lost")
            told |= {name: getattr(report, name) for name in counts}
            log.info("cycle", extra={FIELDS: told | {"positions": report.positions}})
        rate = totals.records / max(self.seconds, 1e-9)
        text = (
            f"{totals.records:,} records, {totals.rejects:,} rejects, {totals.duplicates:,} duplicates, "
            f"{totals.bytes / 2**20:,.0f} MiB, {rate:,.0f} records/s, lake version {report.version}"
        )
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._last_line >= 5:
            self._last_line = time.monotonic()
            self._say(text)

    def on_idle(self, totals: Totals) -> None:
        """Tell that everything is read (while following)."""
        if self._status is not None:
            self._status.update(f"{totals.records:,} records, waiting for more")

    def summary(self, totals: Totals) -> None:
        """The closing line, on standard output."""
        if totals.cycles == 0:
            sys.stdout.write(f"{self._source}: nothing new\n")
            return
        skipped = f", {totals.skipped:,} lines that are no call" if totals.skipped else ""
        skipped += f", {totals.lost:,} lost before they were read" if totals.lost else ""
        sys.stdout.write(
            f"{totals.records:,} records: {totals.rows:,} measured, {totals.duplicates:,} duplicates, "
            f"{totals.rejects:,} rejects{skipped}; {totals.cycles} commits in {self.seconds:.1f} s\n"
        )
