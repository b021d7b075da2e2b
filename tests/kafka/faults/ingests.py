"""Real processes that cost half a second: `scarecrow ingest` (or `compact`) in forks of a server that imported it.

Each is a process of its own with its own connections, table handles and threads; the server it is forked from has
imported modules and nothing else. What is different from a shell's `scarecrow ingest` is where its imports come
from, cycles that may be smaller than the setting allows, a line per cycle in its log, and the signal that it may be
armed with (steps.py).
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.source import Source
from pipelines.lake.tables import Lake
from tests.kafka.faults.dying import die_with_parent
from tests.kafka.faults.producer import produce
from tests.kafka.faults.steps import Arm, arm

HASH_KEY = "a key of the fault run"
_PRELOAD = "tests.kafka.faults.preload"
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload([_PRELOAD])
PATIENCE_SECONDS = 300.0
"""A bound for what takes a second or two on a quiet machine."""
_CYCLE, _CONFLICT = "cycle", "conflict"


def _tell(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _small_cycles(cycle_bytes: int) -> None:
    """Cycles of so many bytes, less than the setting allows, and a line in the log for each and each conflict."""
    from pipelines.ingest import run
    from pipelines.lake.commit import Conflict

    original: Any = run.run_cycle

    def told(lake: Lake, source: Source, options: IngestOptions, *more: Any) -> Any:
        try:
            report = original(lake, source, replace(options, cycle_bytes=cycle_bytes), *more)
        except Conflict:
            _tell(_CONFLICT)
            raise
        if report is not None:
            _tell(f"{_CYCLE} {report.version}: {report.records} records")
        return report

    run.run_cycle = told


def _command(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path, cycle_bytes: int, armed: Arm | None
) -> None:
    """The target of a process."""
    die_with_parent()
    # The server passes over what it cannot import, and each process would do it for itself.
    assert _PRELOAD in sys.modules, f"the server could not import {_PRELOAD}"
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    _small_cycles(cycle_bytes)
    if armed is not None:
        arm(armed)
    from pipelines.cli.app import run

    code = run(arguments)
    sys.stdout.flush()
    # Not `sys.exit`: what remains is the server's, not this command's.
    os._exit(code)


@dataclass
class Command:
    """One process."""

    process: ForkServerProcess
    log: Path

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code; minus the signal for one that was killed. Raises AssertionError when it runs on."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.end()
            raise AssertionError(f"a command did not end within {seconds:g} s: {self.said()[-2000:]}")
        return code

    def send(self, number: signal.Signals) -> bool:
        """Signals it; False when it has ended by itself."""
        if self.process.exitcode is not None or self.process.pid is None:
            return False
        try:
            os.kill(self.process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> bool:
        """SIGKILL; False when it had ended by itself."""
        hit = self.send(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL and hit

    def end(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        self.send(signal.SIGKILL)
        self.process.join(10)

    def is_stopped(self) -> bool:
        """True while SIGSTOP holds it."""
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except FileNotFoundError:
            return False

    def said(self) -> str:
        """Standard output and error so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def cycles(self) -> int:
        """Committed cycles so far."""
        return sum(line.startswith(_CYCLE) for line in self.said().splitlines())

    def conflicts(self) -> int:
        """How often another process was first."""
        return self.said().splitlines().count(_CONFLICT)

    def waited_for(self, cycles: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns when it has committed so many cycles; AssertionError when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while self.cycles() < cycles:
            assert self.process.exitcode is None, f"ingest ended with {self.process.exitcode}: {self.said()}"
            assert time.monotonic() < deadline, f"no {cycles} cycles in {seconds:g} s: {self.said()[-2000:]}"
            time.sleep(0.05)


def _forked(target: Callable[..., None], args: tuple[object, ...]) -> ForkServerProcess:
    with pytest.MonkeyPatch.context() as patch:
        # Where the server, if it is started now, finds the modules to import.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]), prepend=os.pathsep)
        forkserver.ensure_running()
    process = _FORKS.Process(target=target, args=args)
    process.start()
    return process


def start_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    cycle_bytes: int,
    armed: Arm | None = None,
) -> Command:
    """Starts `scarecrow` with these arguments, the name of the command first. cycle_bytes: about what an ingest
    commits at once.
    """
    return Command(_forked(_command, (list(arguments), dict(environment), log, cycle_bytes, armed)), log)


def start_producer(*args: object) -> ForkServerProcess:
    """Starts `producer.produce`."""
    return _forked(produce, args)
