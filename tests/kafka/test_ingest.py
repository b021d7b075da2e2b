"""From a real topic into a lake: whatever producers write, dead letters, replays after a fix, what is told of lag."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.kafka.cluster import free_ports
from pipelines.cli.app import run as scarecrow
from pipelines.errors import ScarecrowError
from pipelines.ingest.cycle import BeforeCommit, IngestOptions
from pipelines.ingest.health import Health
from pipelines.ingest.kafka.consumers import close_idle_consumers
from pipelines.ingest.kafka.dead_letters import DeadLetters
from pipelines.ingest.replay import GONE, ReplaySource
from pipelines.ingest.run import Totals, ingest, open_source
from pipelines.lake import commit as commit_module
from pipelines.lake.rejects import counted
from pipelines.lake.tables import Lake
from pipelines.prompt_map.store import NO_MAP
from pipelines.rank.sources import source_looks, source_notes, source_table
from pipelines.stopping import Stop
from tests.ingest.lakes import expected_sums, new_lake, rejects, run, sums
from tests.ingest.records import KEY, NOW, log
from tests.ingest.test_replay import mapping, moved
from tests.kafka.broker import Broker, eventually
from tests.kafka.test_framing import event, frame_by_guid, frame_by_id


def address(broker: Broker, topic: str) -> str:
    return f"kafka://{broker.cluster.bootstrap()}/{topic}"


def ingested(
    lake: Lake, uri: str, before_commit: BeforeCommit = lambda rejects: None, **options: Any
) -> Totals:
    chosen = IngestOptions(hash_key=KEY, map_version=NO_MAP, **options)
    source = open_source(uri, lake.path, 1 << 20, follow=False)
    return ingest(lake, uri, source, chosen, lambda: NOW, before_commit=before_commit)


def replayed(lake: Lake, uri: str | None = None, **options: Any) -> tuple[Totals, ReplaySource]:
    source = ReplaySource(lake.path, uri)
    chosen = IngestOptions(hash_key=KEY, map_version=NO_MAP, **options)
    return ingest(lake, "rejects", source, chosen, lambda: NOW), source


def read_all(broker: Broker, topic: str, count: int) -> list[tuple[Any, Any, dict[str, bytes]]]:
    consumer = Consumer({"bootstrap.servers": broker.cluster.bootstrap(), "group.id": "letters"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = consumer.consume(count, timeout=20)
    assert consumer.consume(1, timeout=0.3) == []
    consumer.close()
    assert len(found) == count
    return [(m.key(), m.value(), dict(m.headers() or [])) for m in found]


def in_base64(record: dict[str, Any]) -> bytes:
    return event(None, data_base64=base64.b64encode(orjson.dumps(record)).decode())


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_whatever_producers_write(broker: Broker, tmp_path: Path, codec: str) -> None:
    topic = broker.topic(partitions=2)
    records = log(51, 210)
    wraps = [orjson.dumps, lambda r: frame_by_id(orjson.dumps(r)), lambda r: frame_by_guid(orjson.dumps(r)),
             event, lambda r: frame_by_id(event(r)), in_base64]  # fmt: skip
    producer = broker.producer(compression_type=codec)
    binary = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/gateway", "ce_type": "request",
              "content-type": "application/json"}  # fmt: skip
    size = 0
    for i, record in enumerate(records):
        is_binary = i % 7 == 6
        value = orjson.dumps(record) if is_binary else wraps[i % 7](record)
        headers = binary if is_binary else [("trace", b"\xff"), ("trace", None)]
        producer.produce(
            topic, value, key=b"k\x00%d" % i if i % 2 else None, partition=i % 2, headers=headers
        )
        size += len(value)
        if i % 10 == 0:
            producer.produce(topic, None, key=b"tombstone", partition=i % 2)
    assert producer.flush(20) == 0
    lake = new_lake(tmp_path / "lake")
    totals = ingested(lake, address(broker, topic), cycle_bytes=40_000)
    assert (totals.records, totals.rows, totals.rejects, totals.skipped) == (210, 210, 0, 21)
    assert sums(lake) == expected_sums(records)
    # Progress tells of bytes, not of offsets; envelopes are off by then.
    assert sum(len(orjson.dumps(r)) for r in records) <= totals.bytes <= size
    assert ingested(lake, address(broker, topic)).cycles == 0


def test_dead_letters_then_the_right_mapping(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, dead = broker.topic(partitions=2), broker.topic()
    records = log(52, 60)
    producer = broker.producer()
    for i, record in enumerate(records):
        producer.produce(topic, frame_by_id(orjson.dumps(moved(record))), key=b"k%d" % i, partition=i % 2,
                         headers=[("trace", b"\xff%d" % i)])  # fmt: skip
    producer.flush(20)
    lake = new_lake(tmp_path / "lake")
    wrong: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "account", records)}

    # The process fails between the letters and the commit: nothing is committed, and the letters go out again.
    def fails(*_: object, **__: object) -> None:
        raise ScarecrowError("the disk is full")

    with DeadLetters(broker.settings(), broker.cluster.bootstrap(), dead) as letters:
        with monkeypatch.context() as patch:
            patch.setattr(commit_module, "write_note", fails)
            with pytest.raises(ScarecrowError, match="the disk is full"):
                ingested(lake, address(broker, topic), letters.send_rejects, **wrong)
        totals = ingested(lake, address(broker, topic), letters.send_rejects, **wrong)
        assert (totals.rows, totals.rejects) == (0, 60)
    found = read_all(broker, dead, 120)
    places = Counter(headers["scarecrow.position"].decode() for _, _, headers in found)
    assert set(places.values()) == {2}, "at least once, told apart by the position"
    assert set(places) == {row["position"] for row in rejects(lake)}
    key, value, headers = next(f for f in found if f[2]["scarecrow.position"] == f"{topic}[1]@20".encode())
    assert (key, headers["trace"]) == (b"k41", b"\xff41")
    assert value == frame_by_id(orjson.dumps(moved(records[41])))
    assert headers["scarecrow.reason"].decode() == rejects(lake)[0]["reason"]

    # What was mended counts once, though each letter is there twice.
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    again = ingested(lake, address(broker, dead), **right)
    assert (again.rows, again.duplicates) == (60, 60)
    assert sums(lake) == expected_sums(records)


def test_letters_too_large_for_their_topic_and_lost_ranges(broker: Broker, tmp_path: Path) -> None:
    topic, dead = broker.topic(max_message_bytes=3 << 20), broker.topic()
    lake = new_lake(tmp_path / "lake")
    broker.send(topic, [b'{"first": 1}'])
    ingested(lake, address(broker, topic))
    close_idle_consumers()
    broker.send(topic, [b"{}"] * 4 + [b"x" * (2 << 20), b"{broken"], message_max_bytes=3 << 20)
    broker.delete_records(topic, before=4)
    with DeadLetters(broker.settings(), broker.cluster.bootstrap(), dead) as letters:
        totals = ingested(lake, address(broker, topic), letters.send_rejects)
    # One reject tells of three offsets that retention removed; it is no record and no letter.
    assert (totals.rejects, totals.lost) == (4, 3)
    (note,) = source_notes(lake)
    assert (note.lost, note.lost_records) == ([[1, 4]], 3)
    (row,) = source_table([note]).to_pylist()
    assert row["lost_records"] == 3
    found = {
        h["scarecrow.position"].decode(): (k, v, h.get("scarecrow.original"))
        for k, v, h in read_all(broker, dead, 3)
    }
    assert found == {
        f"{topic}[0]@4": (None, b"{}", None),
        f"{topic}[0]@5": (f"{topic}[0]@5".encode(), None, b"too large"),
        f"{topic}[0]@6": (None, b"{broken", None),
    }  # fmt: skip


def test_the_command_with_dead_letters(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, dead = broker.topic(), broker.topic()
    broker.send(topic, [orjson.dumps(r) for r in log(53, 20)] + [b"{broken"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", KEY.decode())
    command = ["ingest", "--source", address(broker, topic), "--dead-letters"]
    assert scarecrow([*command, address(broker, dead)]) == 0
    assert "21 records: 20 measured, 0 duplicates, 1 rejects" in capsys.readouterr().out
    assert [value for _, value, _ in read_all(broker, dead, 1)] == [b"{broken"]
    for wrong, said in (
        (address(broker, topic), "is the source itself"),
        (address(broker, "no"), "has no topic"),
    ):
        assert scarecrow([*command, wrong]) in (1, 2)
        assert said in capsys.readouterr().err
    Path("a.ndjson").write_bytes(b"{}\n")
    assert scarecrow(["ingest", "--source", "a.ndjson", "--dead-letters", address(broker, dead)]) == 2


def test_replay_after_a_fix(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(partitions=3)
    records = log(54, 120)
    for partition in range(3):
        mine = [orjson.dumps(moved(r)) for r in records[partition::3]]
        broker.send(topic, [*mine[:20], b"{broken", *mine[20:]], partition)
    lake = new_lake(tmp_path / "lake")
    wrong: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "account", records)}
    assert ingested(lake, address(broker, topic), **wrong).rejects == 123
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    done, _ = replayed(lake, **right)
    assert (done.records, done.rows, done.rejects) == (123, 120, 3)
    for _ in range(2):
        assert replayed(lake, dedup_horizon=0, **right)[0].rows == 0
        assert ingested(lake, address(broker, topic), dedup_horizon=0, **right).records == 0
    assert sums(lake) == expected_sums(records)
    assert sum(group["rejects"] for group in counted(lake)) == 3
    assert {n.label: (n.records, n.rows, n.rejects) for n in source_notes(lake)} == {
        f"{topic}[{p}]@": (41, 40, 1) for p in range(3)
    }
    assert {r["position"] for r in rejects(lake) if r["app_id"].startswith("replay:")} == {
        f"{topic}[{p}]@20" for p in range(3)
    }


def test_a_replay_of_what_is_gone(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic()
    records = log(55, 30)
    broker.send(topic, [orjson.dumps(moved(r)) for r in records])
    lake = new_lake(tmp_path / "lake")
    assert ingested(lake, address(broker, topic)).rejects == 30
    broker.delete_records(topic, before=10)
    close_idle_consumers()
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    done, _ = replayed(lake, **right)
    assert (done.rows, done.rejects) == (20, 10)
    assert sums(lake) == expected_sums(records[10:])
    assert all(group["reason"].startswith(GONE) for group in counted(lake))
    # Nor is a topic of the same name taken for the one that was read.
    broker.delete(topic)
    broker.topic(name=topic)
    broker.send(topic, [orjson.dumps(moved(r)) for r in log(56, 40)])
    done, source = replayed(lake, **right)
    assert (done.records, [count for _, count in source.left.values()]) == (0, [10])


def test_lag_in_the_mart_and_on_the_command_line(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.topic(partitions=2, retention_ms=-1)
    lake = new_lake(tmp_path / "lake")
    producer = broker.producer()
    began = int(time.time() * 1000)
    for i, record in enumerate(log(57, 40)):
        producer.produce(topic, orjson.dumps(record), partition=i % 2, timestamp=began - 60_000)
    producer.produce(topic, b"{broken", partition=1, timestamp=began - 60_000)
    producer.flush(20)

    def told() -> list[dict[str, Any]]:
        assert scarecrow(["lag", "--source", address(broker, topic), "--lake", str(lake.path), "--json"]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return found

    before = told()
    assert [(r["committed"], r["end"], r["lag_records"]) for r in before] == [(None, 20, 20), (None, 21, 21)]
    assert all(59 < r["lag_seconds"] < 600 for r in before)

    # One cycle that takes a part only, then a look.
    stop = Stop()
    chosen = IngestOptions(hash_key=KEY, map_version=NO_MAP, cycle_bytes=10_000)
    source = open_source(address(broker, topic), lake.path, 1 << 20, follow=False)
    ingest(lake, address(broker, topic), source, chosen, lambda: began, stop=stop,
           on_cycle=lambda report, totals: stop.event.set())  # fmt: skip
    after = told()
    assert all(0 < r["committed"] < r["end"] for r in after)
    notes = source_notes(lake)
    rows = source_table(notes, source_looks(lake, notes)).to_pylist()
    assert [(r["source"], r["committed"], r["end_position"], r["lag_records"]) for r in rows] == [
        (r["name"], r["committed"], r["end"], r["lag_records"]) for r in after
    ]
    assert all(59 < r["lag_seconds"] < 600 for r in rows)

    ingested(lake, address(broker, topic))
    assert [(r["lag_records"], r["lag_seconds"], r["rejects"], r["lost_records"]) for r in told()] == [
        (0, 0.0, 0, 0), (0, 0.0, 1, 0),
    ]  # fmt: skip
    notes = source_notes(lake)
    rows = source_table(notes, source_looks(lake, notes)).to_pylist()
    assert [(r["end_position"], r["lag_records"], r["lag_seconds"], r["rejects"]) for r in rows] == [
        (20, 0, 0.0, 0), (21, 0, 0.0, 1),
    ]  # fmt: skip


def test_followed_through_new_partitions_and_a_topic_created_anew(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic()
    records = log(58, 90)
    lake = new_lake(tmp_path / "lake")
    stop, health = Stop(), Health()
    totals: list[Totals] = []
    chosen = IngestOptions(hash_key=KEY, map_version=NO_MAP)
    uri = address(broker, topic)

    def follow() -> None:
        source = open_source(uri, lake.path, 1 << 20, follow=True)
        totals.append(ingest(lake, uri, source, chosen, lambda: NOW, True, stop, health=health))

    def holds(count: int) -> bool:
        return sum(note.rows for note in source_notes(lake)) == count

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        broker.send(topic, [orjson.dumps(r) for r in records[:30]])
        eventually(lambda: holds(30), 40)
        broker.admin.create_partitions({topic: 3})
        broker.send(topic, [orjson.dumps(r) for r in records[30:60]], partition=2)
        eventually(lambda: holds(60), 40)
        broker.delete(topic)
        broker.topic(name=topic)
        broker.send(topic, [orjson.dumps(r) for r in records[60:]])
        eventually(lambda: holds(90), 60)
    finally:
        stop.event.set()
        follower.join(60)
    assert not follower.is_alive()
    assert sums(lake) == expected_sums(records)
    assert len({note.app_id.split(":")[2] for note in source_notes(lake)}) == 2, "two topics of one name"
    assert totals[0].rows == 90
    assert health.registry.get_sample_value("scarecrow_requests_total") == 90


@pytest.mark.timeout(180)
def test_what_a_follower_tells(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(partitions=2)
    records = log(59, 50)
    broker.send(topic, [orjson.dumps(r) for r in records[:25]])
    broker.send(topic, [orjson.dumps(r) for r in records[25:]] + [b"{broken"], partition=1)
    here = {
        **os.environ,
        "SCARECROW_PRIVACY__HASH_KEY": KEY.decode(),
        "SCARECROW_INGEST__CYCLE_SECONDS": "0.2",
    }
    lake = tmp_path / "lake"
    (port,) = free_ports(1)
    follower = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "ingest", "--source", address(broker, topic), "--lake", str(lake),
         "--follow", "--log-json", "--health-port", str(port)],
        cwd=Path(__file__).parents[2], env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def asked(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metrics() -> dict[str, float]:
        try:
            lines = [line for line in asked("/metrics").splitlines() if not line.startswith("#")]
        except OSError:
            return {}
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    try:
        lag = f'scarecrow_lag_records{{partition="{topic}[1]"}}'
        eventually(lambda: metrics().get(lag) == 0.0, 90)
        seen = metrics()
        assert (seen["scarecrow_records_total"], seen["scarecrow_requests_total"]) == (51, 50)
        assert (seen["scarecrow_rejects_total"], seen["scarecrow_lost_total"]) == (1, 0)
        assert seen["scarecrow_bytes_total"] == sum(len(orjson.dumps(r)) for r in records) + len(b"{broken")
        assert seen[f'scarecrow_lag_seconds{{partition="{topic}[0]"}}'] == 0
        assert seen["scarecrow_newest_event_seconds"] == max(r["event_time"] for r in records) / 1000
        assert json.loads(asked("/healthz"))["trouble"] is None
    finally:
        follower.send_signal(signal.SIGTERM)
        out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0
    assert "51 records: 50 measured, 0 duplicates, 1 rejects" in out
    lines = [json.loads(line) for line in err.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    told = [line for line in lines if line["message"] == "cycle"]
    assert sum(line["rows"] for line in told) == 50
    assert sum(line["rejects"] for line in told) == 1
    assert max(line["version"] for line in told) == Lake(lake).hours().version()
    assert any(line["message"].startswith("group scarecrow: now following") for line in lines)
    prompts = [record["prompt"] for record in records if len(record["prompt"]) > 20]
    assert prompts
    assert not any(prompt in err for prompt in prompts)


def test_a_lake_from_files_tells_of_its_end_too(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(orjson.dumps(r) + b"\n" for r in log(60, 10)))
    lake = new_lake(tmp_path / "lake")
    run(lake, str(path))
    notes = source_notes(lake)
    (row,) = source_table(notes, source_looks(lake, notes)).to_pylist()
    size = path.stat().st_size
    assert (row["committed"], row["end_position"], row["lag_records"], row["lag_seconds"]) == (
        size,
        size,
        None,
        0.0,
    )
