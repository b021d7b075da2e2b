"""Processes that outlive the program that started them: a pid file that also remembers the start time.

A pid alone may belong to somebody else by the time it is used. Nothing here ever signals a process whose
start time is not the one that was written down.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path


def start_time(pid: int) -> str | None:
    """When a process started, as an opaque string; None when there is no such process (or it is a zombie)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in ("Z", "X") else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip() or None


def remember(pid_file: Path, pid: int) -> None:
    """Write pid and start time."""
    pid_file.write_text(json.dumps({"pid": pid, "start_time": start_time(pid)}))


def running(pid_file: Path) -> int | None:
    """The pid in the file if that very process still runs."""
    try:
        noted = json.loads(pid_file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    pid = int(noted["pid"])
    began = start_time(pid)
    return pid if began is not None and began == noted["start_time"] else None


def send(pid_file: Path, number: signal.Signals) -> bool:
    """Signal the process of the file; False when it no longer runs."""
    pid = running(pid_file)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_ended(pid_file: Path, seconds: float) -> bool:
    """True when the process of the file has ended within so many seconds."""
    deadline = time.monotonic() + seconds
    while running(pid_file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
