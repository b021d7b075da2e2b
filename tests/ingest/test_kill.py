"""SIGKILL at random moments, and two ingests at once: the sums of an undisturbed run."""

import random
import subprocess
from pathlib import Path

import pytest

from pipelines.prompt_map.fit import FittedMap
from tests.ingest.kill import ENVIRONMENT, command, killed_lakes, run_to_end, warm_seconds
from tests.ingest.lakes import expected_sums, new_lake, rejects, sums, write_log
from tests.ingest.records import log


@pytest.fixture
def small_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingests commit every MiB."""
    monkeypatch.setitem(ENVIRONMENT, "SCARECROW_INGEST__CYCLE_MIB", "1")


@pytest.mark.usefixtures("small_cycles")
def test_killed_and_begun_again(tmp_path: Path, fitted: FittedMap, pytestconfig: pytest.Config) -> None:
    """An ingest that ends before there were enough kills is followed by another into a new lake."""
    kills = 200 if pytestconfig.getoption("--soak", default=False) else 8
    records = log(70, 6000, repeats=0.05)
    source = write_log(tmp_path / "log.ndjson", records)
    source.write_bytes(b"broken\n" + source.read_bytes() + b"broken too\n")
    run_to_end(source, new_lake(tmp_path / "cold", fitted).path)
    longest = warm_seconds(source, new_lake(tmp_path / "calm", fitted).path)
    killed = killed_lakes(
        lambda number: new_lake(tmp_path / f"lake-{number}", fitted), source, kills, random.Random(4), longest
    )
    for lakes, (lake, hits) in enumerate(killed, start=1):
        assert lakes <= kills, f"{hits} of {kills} kills hit"
        assert sums(lake) == expected_sums(records)
        assert [r["position"].rsplit(":", 1)[1] for r in rejects(lake)] == ["1", "6002"]


@pytest.mark.usefixtures("small_cycles")
def test_two_at_once(tmp_path: Path, fitted: FittedMap) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    records = log(71, 5000, repeats=0.05)
    source = write_log(tmp_path / "log.ndjson", records)
    source.write_bytes(source.read_bytes() + b"broken\n")
    both = [
        subprocess.Popen(
            command(source, lake.path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        )
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors.decode()
    assert sums(lake) == expected_sums(records)
    assert len(rejects(lake)) == 1
