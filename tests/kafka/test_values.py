"""Values as producers really write them, through a real broker: tombstones, framing, envelopes, keys,
headers, times.
"""

import logging
import time

import orjson
import pytest

from tests.kafka.broker import Broker, Lake
from tests.kafka.test_framing import event, frame_by_guid, frame_by_id
from tests.kafka.test_reading import values


def test_tombstones_are_skipped_and_counted(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, [b'{"a":1}', None, None, b'{"b":2}', None])
    source = broker.source(topic)
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    blocks = list(source.read(part))
    assert [(p, v) for b in blocks for p, v in zip(b.positions.tolist(), b.records(), strict=True)] == [
        (0, b'{"a":1}'),
        (3, b'{"b":2}'),
    ]
    assert sum(b.skipped for b in blocks) == 3
    assert part.end == 5


def test_nothing_but_tombstones(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, [None] * 10)
    lake = Lake()
    source = broker.source(topic)
    (part,) = source.plan(lake.committed, 1 << 20)
    assert [(len(b), b.skipped) for b in source.read(part)] == [(0, 10)]
    lake.drain(source)
    assert lake.records == []
    assert list(lake.positions.values()) == [10]


def test_frames_and_envelopes(broker: Broker) -> None:
    topic = broker.topic()
    record = b'{"event_id":"x","prompt":"hello"}'
    broker.send(
        topic,
        [frame_by_id(record), frame_by_guid(record), event(orjson.loads(record)), record, b"", b"\x00abc"],
    )
    lake = Lake()
    lake.drain(broker.source(topic))
    assert lake.values() == [record, record, record, record, b"", b"\x00abc"]


def test_keys_and_headers_change_nothing(broker: Broker) -> None:
    topic = broker.topic()
    record = b'{"event_id":"x"}'
    producer = broker.producer()
    producer.produce(
        topic, record, key=b"k", headers={"ce_specversion": "1.0", "ce_id": "7", "ce_type": "request"}
    )
    producer.produce(topic, record, key=b"\xff\x00", headers=[("h", None), ("h", b"\xff")])
    producer.flush(10)
    lake = Lake()
    lake.drain(broker.source(topic))
    assert lake.values() == [record, record]


def test_since_and_until_are_kafkas_times(broker: Broker) -> None:
    topic = broker.topic(partitions=2, retention_ms=-1)
    producer = broker.producer()
    for i in range(100):
        producer.produce(topic, b'{"n":%d}' % i, partition=i % 2, timestamp=1_700_000_000_000 + 1000 * i)
    producer.flush(10)
    since, until = 1_700_000_020_000, 1_700_000_070_500
    lake = Lake()
    source = broker.source(topic, since_ms=since, until_ms=until)
    lake.drain(source, max_bytes=200)
    assert sorted(orjson.loads(v)["n"] for v in lake.values()) == list(range(20, 71))
    assert lake.cycle(source) == 0
    # A later run without bounds goes on where the lake stands; `since` never skips ahead of it.
    lake.drain(broker.source(topic))
    assert sorted(orjson.loads(v)["n"] for v in lake.values()) == list(range(20, 100))


def test_since_after_everything_waits_for_what_comes(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    lake = Lake()
    source = broker.source(topic, since_ms=int(time.time() * 1000) + 60_000)
    assert lake.cycle(source) == 0
    producer = broker.producer()
    producer.produce(topic, b"{}", partition=0, timestamp=int(time.time() * 1000) + 120_000)
    producer.flush(10)
    lake.drain(source)
    assert lake.values() == [b"{}"]


def test_lag_in_records_and_seconds(broker: Broker) -> None:
    topic = broker.topic(partitions=2, retention_ms=-1)
    now = 1_700_000_100.0
    producer = broker.producer(compression_type="zstd")
    for i in range(10):
        producer.produce(topic, b"{}", partition=0, timestamp=int((now - 60 + i) * 1000))
    producer.flush(10)
    source = broker.source(topic, clock=lambda: now)
    lake = Lake()
    first, second = source.status(lake.committed)
    assert (first.name, first.committed, first.end, first.lag_records) == (f"{topic}[0]", None, 10, 10)
    assert first.lag_seconds == pytest.approx(60)
    assert (second.lag_records, second.lag_seconds) == (0, 0.0)
    lake.positions[first.app_id] = 4
    first, _ = source.status(lake.committed)
    assert first.lag_records == 6
    assert first.lag_seconds == pytest.approx(56)
    lake.drain(source)
    assert [(s.lag_records, s.lag_seconds) for s in source.status(lake.committed)] == [(0, 0.0), (0, 0.0)]


def test_looking_at_lag_between_cycles_changes_nothing(broker: Broker) -> None:
    # More partitions than consumers are kept: every one of them stands ready for a next range when lag is asked.
    topic = broker.topic(partitions=6)
    for partition in range(6):
        broker.send(topic, values(400, f"p{partition}"), partition)
    source = broker.source(topic)
    lake = Lake()
    while lake.cycle(source, max_bytes=12_000):
        source.status(lake.committed)
    for partition in range(6):
        mine = [(offset, value) for label, offset, value in lake.records if label == f"{topic}[{partition}]@"]
        assert mine == list(enumerate(values(400, f"p{partition}")))


def test_records_lost_by_the_broker_are_told(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    lake = Lake()
    source = broker.source(topic)
    (part,) = source.plan(lake.committed, 1 << 20)
    lake.positions[part.app_id] = 9  # the lake holds more than the log: an unclean leader election
    with caplog.at_level(logging.ERROR):
        assert source.plan(lake.committed, 1 << 20) == []
    assert "ends at 5, before 9 that the lake holds" in caplog.text
