"""Runs send_alerts and kills itself with SIGKILL at chosen lines of the alerts package; one child per line.

A process that has every module imported and no thread forks a child per kill, so that a kill costs
milliseconds. Usage: python -m tests.alerts.killed MART FOLDER URL FIRST LAST STRIDE. Prints one JSON line per
kill.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb  # noqa: F401  # imported before the forks

import pipelines.alerts
from pipelines.alerts.run import send_alerts
from pipelines.settings import Settings, load_settings

NOW_MS = 1_795_000_000_000
_PACKAGE = str(Path(pipelines.alerts.__file__).parent)
_RENDERING = (
    "text.py",
    "notice.py",
    "findings.py",
    "rules.py",
    "cloudevents.py",
    "build.py",
    "topic.py",
    "mail.py",
)
"""Modules that only compute here: a kill inside is a kill before the step that follows."""


def settings(folder: Path, url: str, number: int) -> Settings:
    flags: dict[str, object] = {
        "alerts.webhook.url": f"{url}/{number}",
        "alerts.webhook.key": "k" * 24,
        "alerts.ocsf": str(folder / "findings.jsonl"),
        "alerts.backoff_seconds": 0,
        "alerts.attempts": 2,
        "alerts.first_campaigns": 2,
        "alerts.first_accounts": 0,
        "alerts.digest_hour": 0,
    }
    return load_settings(flags=flags)


def _tracer(stop_at: int) -> Any:
    lines = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def global_(frame: FrameType, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        return local if name.startswith(_PACKAGE) and not name.endswith(_RENDERING) else None

    return global_


def _child(mart: Path, made: Settings, now_ms: int, stop_at: int | None) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if stop_at is not None:
                sys.settrace(_tracer(stop_at))
            report = send_alerts(mart, made, now_ms)
            sys.settrace(None)
            code = 3 if report.waiting or report.given_up else 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def main() -> None:
    template, root, url = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    first, last, stride = map(int, sys.argv[4:7])
    for stop_at in range(first, last, stride):
        folder = root / str(stop_at)
        folder.mkdir()
        mart = folder / "mart.duckdb"
        shutil.copyfile(template, mart)
        made = settings(folder, url, stop_at)
        status = _child(mart, made, NOW_MS, stop_at)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        # A day later, so that the digest is due as well; it may be killed at the same line of its own run.
        again = _child(mart, made, NOW_MS + 86_400_000, stop_at)
        clean = _child(mart, made, NOW_MS + 86_400_000, None)
        print(json.dumps({"stop_at": stop_at, "killed": killed, "again": again, "clean": clean}), flush=True)
        if not killed:
            return


if __name__ == "__main__":
    main()
