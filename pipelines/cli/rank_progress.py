"""Progress of a ranking: a live line on a terminal, one plain line per step elsewhere, always on standard error."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status

_DOING = {
    "labels": "reading labels",
    "account_profiles": "folding the horizon to accounts",
    "evidence": "weighing what each account does",
    "links": "comparing accounts with each other",
    "campaigns": "grouping accounts into campaigns",
    "suspects": "scoring",
    "mart_draft": "building the mart",
    "mart": "checked; publishing",
}


class RankProgress:
    """Tells which step runs and what the last one found."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._began = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, step: str, event: str, facts: Mapping[str, Any]) -> None:
        """A step began or is done; or a warning, with its text as event."""
        if self._quiet:
            return
        seconds = time.monotonic() - self._began
        if step == "warning":
            self._console.print(f"warning: {event}")
        elif event == "began" and self._status is not None:
            self._status.update(f"{_DOING.get(step, step)} ...")
        elif event == "done":
            counts = ", ".join(
                f"{value:,} {name.replace('_', ' ')}"
                for name, value in facts.items()
                if isinstance(value, int)
                and not isinstance(value, bool)
                and name not in ("lake_version", "as_of_ms")
            )
            self._console.print(
                f"[{seconds:5.1f} s] {step.replace('_', ' ')}" + (f": {counts}" if counts else "")
            )
