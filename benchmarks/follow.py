"""`scarecrow ingest --follow` beside a real broker for minutes on end: seconds from the broker to a committed row,
memory, files, processor time.

`python benchmarks/follow.py --minutes 30 --rate 20000` starts a broker of its own, follows a topic that
`scarecrow produce` fills, looks at log ends, memory and metrics twice a second, compacts now and then, ends the
producer and then the follower with SIGTERM, and compares what the lake counts with what the brokers have. It prints
one table and, as its last line, one JSON object.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A sibling is named like the package `kafka`: this folder must not come first on the path.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from kafka import KafkaAdminClient
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.traffic import write_traffic
from infra.kafka.cluster import Cluster, free_ports, make_cluster
from pipelines.ingest.kafka.admin import Admin
from pipelines.ingest.kafka.settings import KafkaSettings
from pipelines.lake.tables import Lake, read
from schemas.account_hour import ACCOUNT_HOURS

ROOT = Path(__file__).resolve().parents[1]
TOPIC = "requests"
PARTITIONS = 4
SCARECROW = [sys.executable, "-m", "pipelines.cli"]
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_SAMPLES = 50


@dataclass
class Seen:
    """What was looked at while it ran. times: epoch seconds; ends: log end per partition at each time; memory:
    (seconds since the start, MiB) of the follower; cpu: seconds of each process so far; sick: answers of /healthz
    that were not 200; lag: the largest scarecrow_lag_records of each look at /metrics."""

    times: list[float] = field(default_factory=list)
    ends: list[list[int]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    files: list[tuple[float, int]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    sick: int = 0
    lag: list[float] = field(default_factory=list)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB


def _asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def _metric(text: str, name: str) -> list[float]:
    lines = (line for line in text.splitlines() if line.startswith((name + " ", name + "{")))
    return [float(line.rpartition(" ")[2]) for line in lines]


def _commits(lake: Path) -> list[tuple[float, dict[int, int]]]:
    """(epoch seconds, next offset per partition) of each commit of account_hours that moved a partition."""
    found = []
    for entry in sorted((lake / "account_hours" / "_delta_log").glob("*.json")):
        moved = {}
        for line in entry.read_text().splitlines():
            txn = json.loads(line).get("txn")
            if txn is not None and txn["appId"].startswith("kafka:"):
                moved[int(txn["appId"].rpartition(":")[2])] = int(txn["version"])
        if moved:
            found.append((entry.stat().st_ctime, moved))
    return found


def latencies(
    seen: Seen, commits: list[tuple[float, dict[int, int]]], after: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(seconds, weight) of evenly spaced records of each commit after a time: from when the brokers had the record,
    read off the log ends between two looks, to its commit."""
    times = np.array(seen.times)
    ends = np.array(seen.ends)
    before = dict.fromkeys(range(PARTITIONS), 0)
    seconds, weights = [], []
    for at, moved in commits:
        for partition, end in moved.items():
            start, before[partition] = before[partition], end
            if at < after or end <= start:
                continue
            offsets = np.linspace(start + 1, end, min(_SAMPLES, end - start))
            seconds.append(at - np.interp(offsets, ends[:, partition], times))
            weights.append(np.full(len(offsets), (end - start) / len(offsets)))
    return np.concatenate(seconds), np.concatenate(weights)


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], q: float) -> float:
    """Weighted quantile."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(share, q)))])


def _live_files(lake: Path) -> list[str]:
    paths = pa.table(Lake(lake).hours().get_add_actions(flatten=True))["path"].to_pylist()
    return [str(lake / "account_hours" / path) for path in paths]


def _requests(lake: Path) -> int:
    table = read(Lake(lake).hours(), ACCOUNT_HOURS, _live_files(lake))
    return int(pc.sum(table["requests"]).as_py() or 0)


def _topic(cluster: Cluster) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=cluster.bootstrap())
    keep = {"retention.ms": "600000", "segment.bytes": str(256 << 20)}  # an hour would be tens of GB
    admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "configs": keep}}, wait_for_metadata=True)
    admin.close()


def _watch(
    seen: Seen,
    admin: Admin,
    processes: dict[str, int],
    port: int,
    lake: Path,
    seconds: float,
    step: float = 0.5,
) -> None:
    began = time.time()
    count = 0
    compaction: subprocess.Popen[bytes] | None = None
    while time.time() - began < seconds:
        ends = admin.log_bounds(TOPIC, range(PARTITIONS))
        seen.times.append(time.time())
        seen.ends.append([ends[p][1] for p in range(PARTITIONS)])
        if count % 20 == 0:
            seen.memory.append((time.time() - began, _resident_mib(processes["ingest"])))
            code, _ = _asked(port, "/healthz")
            seen.sick += code != 200
            seen.lag.append(max(_metric(_asked(port, "/metrics")[1], "scarecrow_lag_records"), default=-1.0))
        if count % 120 == 119:
            seen.files.append((time.time() - began, len(_live_files(lake))))
        if count % 600 == 599 and (compaction is None or compaction.poll() is not None):
            compaction = subprocess.Popen(
                [*SCARECROW, "compact", "--lake", str(lake), "--lateness-hours", "0"],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        count += 1
        time.sleep(max(0.0, began + count * step - time.time()))
    for name, pid in processes.items():
        seen.cpu[name] = _cpu_seconds(pid)
    if compaction is not None:
        compaction.wait()


def run(folder: Path, minutes: float, rate: int, accounts: int, console: Console) -> dict[str, Any]:
    """The whole benchmark in `folder`, with a broker of its own."""
    log, lake = folder / "log.ndjson", folder / "lake"
    records = min(150_000, int(rate * 60 * minutes))
    write_traffic(log, records, accounts, 1.0)
    console.print("ingesting the file (fits the prompt map, compiles the kernels)")
    first = folder / "first"
    subprocess.run([*SCARECROW, "ingest", "--source", str(log), "--lake", str(first)], cwd=ROOT, check=True)
    Lake(lake).create()
    shutil.copytree(first / "prompt_maps", lake / "prompt_maps", dirs_exist_ok=True)
    shutil.rmtree(first)

    cluster = make_cluster(folder / "kafka")
    cluster.start()
    (port,) = free_ports(1)
    address = f"kafka://{cluster.bootstrap()}/{TOPIC}"
    settings = KafkaSettings()
    admin = Admin(settings, cluster.bootstrap())
    seen = Seen()
    running: list[subprocess.Popen[bytes]] = []
    try:
        _topic(cluster)
        out = (folder / "ingest.log").open("wb")
        follower = subprocess.Popen(
            [*SCARECROW, "ingest", "--source", address, "--lake", str(lake), "--follow", "--health-port", str(port)],
            cwd=ROOT, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
        running.append(follower)
        while _asked(port, "/healthz")[0] != 200:
            if follower.poll() is not None:
                raise SystemExit((folder / "ingest.log").read_text())
            time.sleep(0.1)
        seen.times.append(time.time())
        seen.ends.append([0] * PARTITIONS)
        repeat = int(rate * 60 * minutes / records) + 2
        producer = subprocess.Popen(
            [*SCARECROW, "produce", str(log), "--to", address, "--rate", str(rate), "--shift", "sent",
             "--repeat", str(repeat), "--quiet"],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=out, start_new_session=True,
        )  # fmt: skip
        running.append(producer)
        load = os.getloadavg()[0]
        began = time.time()
        (node,) = cluster.nodes
        pids = {
            "ingest": follower.pid,
            "produce": producer.pid,
            "broker": json.loads(node.pid_file.read_text())["pid"],
        }
        before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
        console.print(f"following for {minutes:g} minutes at {rate:,} records a second")
        _watch(seen, admin, pids, port, lake, 60 * minutes)
        elapsed = time.time() - began
        producer.send_signal(signal.SIGTERM)
        producer.wait(60)
        ends = {p: end for p, (_, end) in admin.log_bounds(TOPIC, range(PARTITIONS)).items()}
        seen.times.append(time.time())
        seen.ends.append([ends[p] for p in range(PARTITIONS)])
        deadline = time.time() + 120
        position: dict[int, int] = {}
        while position != ends and time.time() < deadline:
            for _, moved in _commits(lake):
                position |= moved
            time.sleep(1)
        # A cycle is counted a moment after its commit is seen.
        metrics = ""
        while (
            sum(_metric(metrics, "scarecrow_records_total")) < sum(ends.values()) and time.time() < deadline
        ):
            time.sleep(1)
            metrics = _asked(port, "/metrics")[1]
        asked_at = time.time()
        follower.send_signal(signal.SIGTERM)
        follower.wait(60)
        stopping = time.time() - asked_at
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
        admin.close()
        cluster.stop()

    commits = _commits(lake)
    seconds, weights = latencies(seen, commits, after=began + min(30.0, elapsed / 4))
    produced, counted = sum(ends.values()), _requests(lake)
    near = {
        minute: round(min(seen.memory, key=lambda m: abs(m[0] - 60 * minute))[1])
        for minute in (1, 5, 15, 30)
        if minute <= minutes
    }
    figures = {
        "minutes": round(elapsed / 60, 1),
        "produced": produced,
        "requests_in_lake": counted,
        "scarecrow_records_total": int(sum(_metric(metrics, "scarecrow_records_total"))),
        "per_second": round(produced / elapsed),
        "latency_p50": round(quantile(seconds, weights, 0.5), 2),
        "latency_p95": round(quantile(seconds, weights, 0.95), 2),
        "latency_max": round(float(seconds.max()), 2),
        "resident_mib": near,
        "resident_mib_most": round(max(m for _, m in seen.memory)),
        "cpu_share": {name: round((seen.cpu[name] - before[name]) / elapsed, 2) for name in pids},
        "commits": len(commits),
        "live_files_most": max((n for _, n in seen.files), default=len(_live_files(lake))),
        "live_files_at_the_end": len(_live_files(lake)),
        "unhealthy_answers": seen.sick,
        "largest_lag_metric": max(seen.lag),
        "seconds_to_stop": round(stopping, 1),
        "exit_code": follower.returncode,
        "load_before_and_after": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    table = Table(title=f"--follow, {figures['minutes']} minutes at {rate:,} a second asked for")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    given = parser.parse_args()
    # What was started is ended, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="scarecrow-follow-") as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        figures = run(folder, given.minutes, given.rate, given.accounts, Console(stderr=True))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
