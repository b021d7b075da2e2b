"""Kills an ingest again and again: `python -m tests.ingest.kill --kills 200`. The tests use it with fewer.

The log is ingested by `scarecrow ingest` in a process of its own, which is killed with SIGKILL at a random
moment and begun again, until the wanted number of kills has hit. Then it runs to its end, undisturbed.
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.lake.tables import Lake
from tests.ingest.lakes import expected_sums, rejects, rows, sums, write_log
from tests.ingest.records import log

ENVIRONMENT = os.environ | {"SCARECROW_PRIVACY__HASH_KEY": "a key of the kill test"}


def command(source: Path, lake: Path, *more: str) -> list[str]:
    """An ingest of many small cycles."""
    entry = [sys.executable, "-m", "pipelines.cli", "ingest", "--source", str(source), "--lake", str(lake)]
    return [*entry, "--workers", "1", "--json", *more]


def run_to_end(source: Path, lake: Path) -> None:
    """Plain, undisturbed."""
    subprocess.run(command(source, lake), check=True, capture_output=True, env=ENVIRONMENT)


def warm_seconds(source: Path, lake: Path) -> float:
    """What an undisturbed ingest takes, after one that compiled the kernels: kills later than that hit nothing."""
    began = time.monotonic()
    run_to_end(source, lake)
    return time.monotonic() - began


def kill_often(source: Path, lake: Path, kills: int, rng: random.Random, longest: float) -> int:
    """Returns how many kills hit a process that was still at work; it may finish before there are enough.
    longest: seconds after which a process is killed at the latest."""
    hits = 0
    while hits < kills:
        process = subprocess.Popen(
            command(source, lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )
        try:
            process.wait(rng.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hits += 1
            continue
        if process.returncode != 0:
            raise RuntimeError(f"ingest ended with {process.returncode}")
        return hits
    return hits


def killed_lakes(
    new_lake: Callable[[int], Lake], source: Path, kills: int, rng: random.Random, longest: float
) -> Iterator[tuple[Lake, int]]:
    """(lake, kills so far) of one lake after another, each killed and then run to its end, until there are enough.
    new_lake: the lake of that number, from 1 on."""
    hits = 0
    for number in itertools.count(1):
        lake = new_lake(number)
        hits += kill_often(source, lake.path, kills - hits, rng, longest)
        run_to_end(source, lake.path)
        yield lake, hits
        if hits >= kills:
            return


def main() -> None:
    """Kill, rerun, compare with an undisturbed lake; fails loudly when they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--records", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    began = time.monotonic()
    hits = rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        records = log(arguments.seed, arguments.records, repeats=0.02)
        source = write_log(root / "log.ndjson", records)
        source.write_bytes(source.read_bytes() + b"broken\n")
        os.environ["SCARECROW_INGEST__CYCLE_MIB"] = ENVIRONMENT["SCARECROW_INGEST__CYCLE_MIB"] = "1"
        run_to_end(source, root / "cold")
        calm = Lake(root / "calm")
        longest = warm_seconds(source, calm.path)
        killed = killed_lakes(
            lambda number: Lake(root / f"killed-{number}"), source, arguments.kills, rng, longest
        )
        for rounds, (lake, hits) in enumerate(killed, start=1):
            assert sums(lake) == sums(calm) == expected_sums(records)
            assert len(rejects(lake)) == 1
            assert rows(lake).drop_columns(["map_version"]).num_rows == rows(calm).num_rows
            sys.stdout.write(f"lake {rounds}: {hits} kills so far, sums equal\n")
            sys.stdout.flush()
    sys.stdout.write(f"{hits} kills over {rounds} lakes in {time.monotonic() - began:.0f} s: sums equal\n")


if __name__ == "__main__":
    main()
