"""From a real Kafka broker to committed Parquet, against a bare librdkafka consumer that only counts.

`python benchmarks/kafka.py [--quick]` starts a broker of its own, fills a topic with a few hours of traffic (the log of
benchmarks/ingest.py), and measures both in turns, in one run, on the same machine as the broker. It prints a table for
people and, as its last line, one JSON object: requests_per_second, ratio_bare_consumer, equal, and CPU microseconds per
record of both, the broker's not included. `equal` says that the lake filled from Kafka, folded, is bit for bit the lake
filled from the file.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # This file is named like the package `kafka`: its own folder must not come first on the path.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks.traffic import write_traffic
from infra.kafka.cluster import make_cluster
from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.fold import fold, from_arrow, to_arrow
from pipelines.ingest.kafka.address import parse_address
from pipelines.ingest.kafka.admin import close_shared_admins, shared_admin
from pipelines.ingest.kafka.clients import consumer_options
from pipelines.ingest.kafka.consumers import close_idle_consumers
from pipelines.ingest.kafka.settings import KafkaSettings, load_kafka_settings
from pipelines.ingest.run import ingest, open_source
from pipelines.lake.tables import Lake, read
from pipelines.produce import Replay, produce
from pipelines.prompt_map.store import NO_MAP
from schemas.account_hour import ACCOUNT_HOURS

PARTITIONS = 4
BITE = 64
KEY = b"benchmark-key-16"
NOW_MS = 1_800_000_000_000


T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """(result, seconds, CPU seconds) of some work in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    return result, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bare_consumer(settings: KafkaSettings, servers: str, topic: str) -> int:
    """Records that a librdkafka consumer counts, with our reader's options and bites."""
    consumer = Consumer(consumer_options(settings, servers) | {"group.id": "bare"})
    count = 0
    for partition in range(PARTITIONS):
        at = TopicPartition(topic, partition)
        start, end = consumer.get_watermark_offsets(at, timeout=10)
        consumer.assign([TopicPartition(topic, partition, start)])
        position = start
        while position < end:
            messages = consumer.consume(min(BITE, end - position), timeout=0.05)
            if any(map(Message.error, messages)):
                messages = [m for m in messages if m.error() is None]
            if messages:
                count += len(messages)
                position = (messages[-1].offset() or 0) + 1
    consumer.close()
    return count


def into_lake(folder: Path, uri: str, maps: Path | None, threads: int) -> tuple[Lake, int]:
    """(lake, records) of a whole ingest; maps: a folder of prompt maps to begin with."""
    lake = Lake(folder)
    lake.create()
    if maps is not None:
        shutil.copytree(maps, folder / "prompt_maps", dirs_exist_ok=True)
    options = IngestOptions(hash_key=KEY, map_version=NO_MAP, threads=threads)
    source = open_source(uri, folder, 32 << 20, follow=False)
    totals = ingest(lake, uri, source, options, lambda: NOW_MS)
    return lake, totals.records


def folded(lake: Lake) -> pa.Table:
    """account_hours, one row per account and hour."""
    table = lake.hours()
    paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    files = [str(lake.path / "account_hours" / path) for path in paths]
    return to_arrow(fold(from_arrow(read(table, ACCOUNT_HOURS, files))))


def run(folder: Path, size: int, rounds: int, console: Console) -> dict[str, object]:
    """The whole benchmark in `folder`, with a broker of its own."""
    threads = os.cpu_count() or 1
    log = folder / "requests.ndjson"
    write_traffic(log, size, 20_000, 4.0)
    console.print("ingesting the file (fits the prompt map, warms the kernels)")
    from_file, _ = into_lake(folder / "file", str(log), None, threads)
    wanted = folded(from_file)

    settings = load_kafka_settings({})
    cluster = make_cluster(folder / "kafka")
    cluster.start()
    try:
        address = parse_address(f"kafka://{cluster.bootstrap()}/requests")
        shared_admin(settings, address.servers).create_topic(address.topic, PARTITIONS)
        sent, seconds, _ = timed(lambda: produce(str(log), address, settings, Replay()))
        produced_per_second = sent.records / seconds
        bare, ours, bare_cpu, our_cpu, is_equal = [], [], [], [], True
        for turn in range(rounds):
            count, seconds, cpu = timed(lambda: bare_consumer(settings, address.servers, address.topic))
            bare.append(count / seconds)
            bare_cpu.append(cpu / count * 1e6)
            target = folder / f"kafka-{turn}"
            (lake, records), seconds, cpu = timed(
                lambda to=target: into_lake(to, str(address), from_file.path / "prompt_maps", threads)
            )
            ours.append(records / seconds)
            our_cpu.append(cpu / records * 1e6)
            is_equal = is_equal and count == records == size and folded(lake).equals(wanted)
            shutil.rmtree(lake.path)
    finally:
        close_idle_consumers()
        close_shared_admins()
        cluster.stop()

    ratio = statistics.median(o / b for o, b in zip(ours, bare, strict=True))
    table = Table(title=f"{sent.records:,} records of {sent.bytes // sent.records} bytes, {threads} cores")
    table.add_column("what")
    table.add_column("records a second", justify="right")
    table.add_column("CPU us each", justify="right")
    for name, value, cpu in (
        ("scarecrow produce", produced_per_second, None),
        ("bare librdkafka consumer that only counts", statistics.median(bare), statistics.median(bare_cpu)),
        ("scarecrow ingest, all features, to Parquet", statistics.median(ours), statistics.median(our_cpu)),
    ):
        table.add_row(name, f"{value:,.0f}", "" if cpu is None else f"{cpu:.2f}")
    console.print(table)
    console.print(f"ratio to the bare consumer {ratio:.2f}; lake equal to the one from the file: {is_equal}")
    return {
        "requests_per_second": round(statistics.median(ours)),
        "ratio_bare_consumer": round(ratio, 3),
        "equal": is_equal,
        "cpu_microseconds": round(statistics.median(our_cpu), 2),
        "bare_cpu_microseconds": round(statistics.median(bare_cpu), 2),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small log, one round")
    quick = parser.parse_args().quick
    console = Console()
    with tempfile.TemporaryDirectory(prefix="scarecrow-kafka-") as scratch:
        figures = (
            run(Path(scratch), 200_000, 1, console) if quick else run(Path(scratch), 1_000_000, 3, console)
        )
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
