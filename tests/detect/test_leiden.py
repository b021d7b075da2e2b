"""Leiden beside this process gives what it gives here, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.detect import leiden
from pipelines.errors import ScarecrowError


def blocks(size: int, seed: int = 0) -> tuple[leiden.Ends, leiden.Ends]:
    """Links of nodes in blocks of 20, and some between them."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, size, 40 * size, dtype=np.int32) for _ in range(2))
    kept = (a < b) & (rng.random(len(a)) < np.where(a // 20 == b // 20, 1, 0.2))
    return a[kept], b[kept]


def test_beside_and_here_are_the_same() -> None:
    a, b = blocks(200)
    here, beside = (leiden.labels(a, b, (0.1, 0.4), 3, least) for least in (len(a) + 1, 0))
    assert len(here) == 2
    for one, other in zip(here, beside, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_process_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ScarecrowError, match="without an answer, with code"):
        leiden.labels(*blocks(200), (0.1,), 3, 0)


def children(process: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_ends_with_its_parent() -> None:
    search = (
        "from tests.detect.test_leiden import blocks; from pipelines.detect.leiden import labels; "
        "labels(*blocks(60_000), (0.01,) * 50, 3, 0)"
    )
    with subprocess.Popen([sys.executable, "-c", search]) as parent:
        deadline = time.monotonic() + 60
        while not children(parent.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (child,) = children(parent.pid)
        time.sleep(3)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)
