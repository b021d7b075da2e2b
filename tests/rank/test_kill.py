"""SIGKILL during `scarecrow rank`: the mart in force stays, nothing keeps running, the next ranking is as if nothing
had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.rank.run import run
from tests.rank.world import content, ranking, small_world

MOMENTS = ("labels", "evidence", "campaigns", "suspects", "mart draft")


def killed_after(mart: Path, line: str) -> list[int]:
    """Start a ranking, kill it when it has told of a step; returns the processes that it had started."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "pipelines.cli", "rank", "--lake", str(small_world()[1].path),
         "--mart", str(mart)], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while f"] {line}" not in said:
        said = process.stderr.readline()
        assert said, "the ranking ended before it was killed"
    children = [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    return children


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see child processes")
def test_a_kill_leaves_the_mart_in_force(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    mart = tmp_path / "mart.duckdb"
    run(ranking(small_world()[1], mart))
    before = mart.read_bytes()
    rows = content(mart)
    for moment in MOMENTS if request.config.getoption("--soak") else MOMENTS[-1:]:
        children = killed_after(mart, moment)
        assert children  # the process that checks
        assert mart.read_bytes() == before
        deadline = time.monotonic() + 60
        while any(is_running(pid) for pid in children):
            assert time.monotonic() < deadline, "a process outlived its ranking by a minute"
            time.sleep(0.2)
    run(ranking(small_world()[1], mart))
    assert content(mart) == rows
