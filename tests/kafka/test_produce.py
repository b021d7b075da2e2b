"""Replay of a log into a real topic: content, keys, pace, times."""

import gzip
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from pipelines.errors import UsageError
from pipelines.ingest.kafka.address import parse_address
from pipelines.produce import Produced, Replay, epoch_ms, produce
from tests.kafka.broker import Broker, Lake

START = 1_700_000_000_000


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 2_000_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.ndjson"
    lines = [
        {"event_id": f"e{i}", "event_time": START + 100 * i, "account_id": f"a{i % 7}", "prompt": "hello"}
        for i in range(200)
    ]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def replayed(broker: Broker, topic: str, files: Path, replay: Replay, clock: Clock | None = None) -> Produced:
    clock = clock or Clock()
    address = parse_address(f"kafka://{broker.cluster.bootstrap()}/{topic}")
    return produce(str(files), address, broker.settings(), replay, clock=clock, sleep=clock.sleep)


def read(broker: Broker, topic: str) -> list[bytes]:
    lake = Lake()
    lake.drain(broker.source(topic))
    return lake.values()


def test_a_log_arrives_as_it_is(broker: Broker, log: Path) -> None:
    topic = broker.topic(partitions=3)
    done = replayed(broker, topic, log, Replay())
    assert done == Produced(200, len(log.read_bytes()) - 200, 0)
    assert sorted(read(broker, topic)) == sorted(log.read_bytes().splitlines())


def test_the_key_is_the_account_and_keeps_its_order(broker: Broker, log: Path) -> None:
    topic = broker.topic(partitions=3)
    replayed(broker, topic, log, Replay())
    consumer = Consumer({"bootstrap.servers": broker.cluster.bootstrap(), "group.id": "keys"})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(3)])
    places = defaultdict(set)
    times = defaultdict(list)
    for message in consumer.consume(200, timeout=10):
        record = orjson.loads(message.value() or b"")
        assert message.key() == record["account_id"].encode()
        places[record["account_id"]].add(message.partition())
        times[record["account_id"]].append(record["event_time"])
    consumer.close()
    assert len(places) == 7
    assert all(len(where) == 1 for where in places.values())
    assert all(when == sorted(when) for when in times.values())


def test_compressed_and_broken_lines(broker: Broker, log: Path, tmp_path: Path) -> None:
    topic = broker.topic()
    packed = tmp_path / "log.ndjson.gz"
    packed.write_bytes(gzip.compress(log.read_bytes() + b"{broken\n[1]\n"))
    done = replayed(broker, topic, packed, Replay(shift="end"))
    assert (done.records, done.unkeyed) == (202, 2)
    assert read(broker, topic)[-2:] == [b"{broken", b"[1]"]


def test_a_rate_is_kept(broker: Broker, log: Path) -> None:
    clock = Clock()
    replayed(broker, broker.topic(), log, Replay(rate=50), clock)
    assert sum(clock.slept) == pytest.approx(199 / 50, abs=0.01)


def test_the_logs_own_pace(broker: Broker, log: Path) -> None:
    clock = Clock()
    replayed(broker, broker.topic(), log, Replay(speed=4.0), clock)
    assert sum(clock.slept) == pytest.approx(19.9 / 4, abs=0.01)


@pytest.mark.parametrize(
    ("shift", "first", "last"),
    [("start", 2_000_000_000_000, 2_000_000_019_900), ("end", 1_999_999_980_100, 2_000_000_000_000)],
)
def test_times_are_moved_by_one_amount(broker: Broker, log: Path, shift: str, first: int, last: int) -> None:
    topic = broker.topic()
    replayed(broker, topic, log, Replay(shift=shift))  # type: ignore[arg-type]
    times = [orjson.loads(v)["event_time"] for v in read(broker, topic)]
    assert (times[0], times[-1]) == (first, last)
    assert [b - a for a, b in pairwise(times)] == [100] * 199


def test_times_of_sending(broker: Broker, tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    record = {
        "event_id": "x", "event_time": "2026-11-24T10:00:00Z", "account_id": "a",
        "account_created_at": "2026-11-23T10:00:00Z", "prompt": "p",
    }  # fmt: skip
    log.write_bytes(orjson.dumps(record) * 1 + b"\n" + orjson.dumps(record | {"event_id": "y"}) + b"\n")
    topic = broker.topic()
    replayed(broker, topic, log, Replay(rate=10, shift="sent"))
    found = [orjson.loads(v) for v in read(broker, topic)]
    assert [r["event_time"] for r in found] == [2_000_000_000_000, 2_000_000_000_100]
    assert [r["event_time"] - r["account_created_at"] for r in found] == [86_400_000] * 2


def test_repeats_have_fresh_ids(broker: Broker, log: Path) -> None:
    topic = broker.topic()
    assert replayed(broker, topic, log, Replay(repeat=3)).records == 600
    ids = [orjson.loads(v)["event_id"] for v in read(broker, topic)]
    assert len(set(ids)) == 600
    assert {"e5", "e5#1", "e5#2"} <= set(ids)


def test_it_stops_when_told(broker: Broker, log: Path) -> None:
    topic = broker.topic()
    seen = iter(range(1000))
    done = produce(
        str(log), parse_address(f"kafka://{broker.cluster.bootstrap()}/{topic}"), broker.settings(), Replay(),
        stopped=lambda: next(seen) >= 50,
    )  # fmt: skip
    assert done.records == 50
    assert len(read(broker, topic)) == 50, "what was sent is delivered"


@pytest.mark.parametrize("wrong", [{"rate": 1, "speed": 1}, {"rate": 0}, {"speed": -1}, {"repeat": 0}])
def test_wrong_use(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Replay(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (5, 5),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("x", None),
        (None, None),
        (True, None),
    ],
)
def test_times_as_records_have_them(value: object, ms: int | None) -> None:
    assert epoch_ms(value) == ms
