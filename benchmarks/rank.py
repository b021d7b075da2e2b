"""How long a ranking takes, by the number of accounts: the product's own path, gates and mart included.

    python benchmarks/rank.py [--quick] [--accounts N ...] [--days D] [--lakes DIR]

Makes a lake for each size without any text (`population`), ranks it in a process of its own as `scarecrow rank` does,
and prints wall and CPU seconds, by step, and the largest resident memory. The exponent is the slope of CPU seconds over
accounts between the smallest and the largest size, both as logarithms; the seconds that a process needs to start are in
it. CPU seconds, because walls depend on what else the machine does: the load is printed beside them. The last line is
one JSON object: seconds, cpu_seconds, steps, max_rss_mib by accounts; exponent.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SIZES = (10_000, 100_000)
QUICK = (2_000, 8_000)
SEED = 1


def rank_once(lake: Path, mart: Path) -> dict[str, Any]:
    """Rank in this process; figures of it and of the process that checks beside it."""
    began = time.monotonic()
    from dagster_project.gatekeeper import Gatekeeper

    steps: dict[str, float] = {}
    cpu: dict[str, float] = {}
    running: dict[str, tuple[float, float]] = {}
    facts: dict[str, Mapping[str, Any]] = {}

    def tell(step: str, event: str, told: Mapping[str, Any]) -> None:
        if event == "began":
            running[step] = (time.monotonic(), time.process_time())
        elif event == "done":
            since, used = running[step]
            steps[step], cpu[step] = time.monotonic() - since, time.process_time() - used
            facts[step] = told

    with Gatekeeper() as gatekeeper:
        from dagster_project.in_process import rank_in_process
        from pipelines.lake.tables import Lake
        from pipelines.rank.steps import Ranking
        from pipelines.rank.workspace import Workspace

        ranking = Ranking(Lake(lake), mart, Workspace.beside(mart, "benchmark", {}), 14, None, "benchmark")
        rank_in_process(ranking, gatekeeper, tell)
    own, gates = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": own.ru_utime + own.ru_stime + gates.ru_utime + gates.ru_stime,
        "steps": steps,
        "steps_cpu": cpu,
        "max_rss_mib": own.ru_maxrss >> 10,
        "gates_rss_mib": gates.ru_maxrss >> 10,
        "account_hours": facts["account_profiles"]["account_hours"],
        "requests": facts["account_profiles"]["requests"],
        "links": facts["links"]["same_source_links"],
        "campaigns": facts["campaigns"]["campaigns"],
    }


def measure(accounts: int, days: int, folder: Path) -> dict[str, Any]:
    """A lake of that size, made unless it is there, and a ranking of it in a new process."""
    from benchmarks.population import write_lake

    lake = folder / f"lake-{accounts}-{days}"
    if not (lake / "complete").exists():
        print(f"making a lake of {accounts:,} accounts and {days} days", flush=True)
        write_lake(lake, accounts, days, SEED)
        (lake / "complete").touch()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, __file__, "--child", str(lake), str(Path(work) / "mart.duckdb")]
        load = os.getloadavg()[0]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"ranking {accounts:,} accounts failed:\n{done.stderr}")
        mart = sum(path.stat().st_size for path in Path(work).glob("mart.duckdb"))
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures | {"load": round((load + os.getloadavg()[0]) / 2, 1), "mart_mib": mart >> 20}


def exponent(cpu: Mapping[int, float]) -> float | None:
    """Growth of CPU seconds with accounts, between the smallest and the largest size."""
    low, high = min(cpu), max(cpu)
    return math.log(cpu[high] / cpu[low]) / math.log(high / low) if high > low else None


def show(found: Mapping[int, Mapping[str, Any]]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *(f"{accounts:,}" for accounts in found), title="ranking, by accounts")
    plain = (
        ("calls", "requests"), ("account-hours", "account_hours"), ("same-source links", "links"),
        ("campaigns", "campaigns"), ("peak MiB", "max_rss_mib"), ("mart MiB", "mart_mib"),
        ("load beside", "load"),
    )  # fmt: skip
    for name, key in plain:
        table.add_row(name, *(f"{figures[key]:,}" for figures in found.values()))
    table.add_row("wall s", *(f"{figures['seconds']:.1f}" for figures in found.values()))
    table.add_row("CPU s", *(f"{figures['cpu_seconds']:.1f}" for figures in found.values()))
    for step in next(iter(found.values()))["steps"]:
        table.add_row(
            f"  {step} wall / CPU",
            *(f"{f['steps'][step]:.1f} / {f['steps_cpu'][step]:.1f}" for f in found.values()),
        )
    Console().print(table)


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK[0]:,} and {QUICK[1]:,} accounts")
    parser.add_argument("--accounts", type=int, nargs="+", help="sizes instead of the usual ones")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--lakes", type=Path, help="keep lakes here and use those that are there")
    parser.add_argument("--child", nargs=2, metavar=("LAKE", "MART"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(rank_once(Path(given.child[0]), Path(given.child[1]))))
        return
    sizes = sorted(given.accounts or (QUICK if given.quick else SIZES))
    with tempfile.TemporaryDirectory(prefix="scarecrow-rank-") as temporary:
        folder = given.lakes or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = {}
        for accounts in sizes:
            found[accounts] = measure(accounts, given.days, folder)
            told = {
                key: found[accounts][key]
                for key in ("seconds", "cpu_seconds", "steps_cpu", "max_rss_mib", "load")
            }
            print(f"{accounts:,} accounts: {json.dumps(told)}", flush=True)
    show(found)
    grown = exponent({accounts: figures["cpu_seconds"] for accounts, figures in found.items()})
    figures = {
        key: {str(accounts): figures[key] for accounts, figures in found.items()}
        for key in ("seconds", "cpu_seconds", "steps", "steps_cpu", "max_rss_mib", "load")
    }
    print(json.dumps(figures | {"exponent": None if grown is None else round(grown, 3)}))


if __name__ == "__main__":
    main()
