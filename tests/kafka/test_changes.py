"""What may happen to a topic while it is followed: retention, deletion, new partitions, a broker that goes
away.
"""

import logging
import pickle
import time
from multiprocessing import get_context

import pytest

from pipelines.ingest.kafka import KafkaSource, KafkaUnavailable, TopicChanged, TopicMissing
from pipelines.ingest.kafka.consumers import close_idle_consumers
from pipelines.ingest.source import Slice
from tests.kafka.broker import Broker, Lake, eventually
from tests.kafka.test_reading import values


def test_records_deleted_before_they_were_read_are_a_lost_range(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    topic = broker.topic()
    broker.send(topic, values(10, "a"))
    lake = Lake()
    source = broker.source(topic)
    lake.drain(source)
    close_idle_consumers()  # it would have read ahead, and lost nothing
    broker.send(topic, values(50, "b"))
    broker.delete_records(topic, before=40)
    (status,) = source.status(lake.committed)
    assert (status.committed, status.log_start, status.end) == (10, 40, 60)
    assert status.lost == ((10, 40),)
    assert status.lag_records == 20
    with caplog.at_level(logging.WARNING):
        lake.drain(source)
    assert "offsets 10 to 39 are no longer in the log (30)" in caplog.text
    assert lake.values() == values(10, "a") + values(50, "b")[30:]
    label = f"{topic}[0]@"
    assert lake.rejects == [
        (label, 10, "lost offsets 10 to 39: deleted by the broker before they were read (30 offsets)")
    ]
    (status,) = source.status(lake.committed)
    assert (status.committed, status.lost, status.lag_records, status.lag_seconds) == (60, (), 0, 0.0)


def test_everything_lost_is_told_and_passed(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    lake = Lake()
    source = broker.source(topic)
    lake.drain(source)
    close_idle_consumers()
    broker.send(topic, values(20))
    broker.delete_records(topic, before=25)
    lake.drain(source)
    assert [r[1:] for r in lake.rejects] == [
        (5, "lost offsets 5 to 24: deleted by the broker before they were read (20 offsets)")
    ]
    assert list(lake.positions.values()) == [25]


def test_records_deleted_between_plan_and_read(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(30))
    source = broker.source(topic)
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    broker.delete_records(topic, before=12)
    blocks = list(source.read(part))
    assert [v for b in blocks for v in b.records()] == values(30)[12:]
    assert [(r.position, r.reason.split(":")[0]) for b in blocks for r in b.rejects] == [
        (0, "lost offsets 0 to 11")
    ]


def test_records_deleted_while_the_consumer_stands_ready(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(20))
    source = broker.source(topic, settings=broker.settings(stall_seconds=3.0))
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    broker.send(topic, values(30))
    (longer,) = source.plan(lambda app_id: None, 1 << 20)
    assert sum(len(b) for b in source.read(part)) == 20
    broker.delete_records(topic, before=50)
    time.sleep(0.3)
    # Whether the ten were read ahead or are lost, each offset is accounted for, and nobody waits.
    blocks = list(source.read(Slice(part.uri, part.app_id, 20, longer.end, part.label)))
    got = sum(len(b) for b in blocks)
    lost = [r.reason for b in blocks for r in b.rejects]
    assert (got, lost) in (
        (30, []),
        (0, ["lost offsets 20 to 49: deleted by the broker before they were read (30 offsets)"]),
    )


def test_real_retention(broker: Broker) -> None:
    topic = broker.topic(retention_ms=500, segment_ms=100, segment_bytes=1 << 20)
    broker.send(topic, values(100, "old"))
    lake = Lake()
    source = broker.source(topic)
    (part,) = source.plan(lake.committed, 1 << 20)
    lake.positions[part.app_id] = 10  # a follower that stopped early

    def gone() -> bool:
        broker.send(topic, values(1, "roll"))
        (status,) = source.status(lake.committed)
        return status.log_start > 10

    eventually(gone)
    broker.configure(topic, retention_ms=3_600_000)
    (status,) = source.status(lake.committed)
    lake.drain(source)
    assert sum(int(r[2].split("(")[1].split()[0]) for r in lake.rejects) == status.log_start - 10
    assert len(lake.records) == status.end - status.log_start


def test_a_topic_created_anew_is_another_topic(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    topic = broker.topic()
    broker.send(topic, values(20, "first"))
    lake = Lake()
    source = broker.source(topic)
    lake.drain(source)
    broker.send(topic, values(20, "unread"))
    (stale,) = source.plan(lake.committed, 1 << 20)
    broker.delete(topic)
    broker.topic(name=topic)
    broker.send(topic, values(60, "second"))
    with pytest.raises(TopicChanged, match="deleted and created anew"):
        list(source.read(stale))
    with caplog.at_level(logging.WARNING):
        lake.drain(source)
    assert "was deleted and created anew" in caplog.text
    assert lake.values() == values(20, "first") + values(60, "second")
    assert len(lake.positions) == 2, "two incarnations, two app_ids"


def test_a_deleted_topic_stops_the_read(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    source = broker.source(topic, settings=broker.settings(stall_seconds=3.0))
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    broker.delete(topic)
    with pytest.raises(TopicMissing):
        list(source.read(part))
    with pytest.raises(TopicMissing):
        source.plan(lambda app_id: None, 1 << 20)


def test_new_partitions_are_found(broker: Broker) -> None:
    topic = broker.topic(partitions=1)
    broker.send(topic, values(3, "p0"))
    lake = Lake()
    source = broker.source(topic)
    lake.drain(source)
    broker.admin.create_partitions({topic: 3})
    broker.send(topic, values(4, "p2"), partition=2)
    eventually(lambda: lake.cycle(source) > 0)
    assert lake.values() == values(3, "p0") + values(4, "p2")


def test_a_range_beyond_the_log_is_an_error_after_patience(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    source = broker.source(topic, settings=broker.settings(stall_seconds=1.0))
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    too_far = Slice(part.uri, part.app_id, 3, 50, part.label)
    began = time.monotonic()
    with pytest.raises(KafkaUnavailable, match="sent nothing"):
        list(source.read(too_far))
    assert time.monotonic() - began < 4
    # The failed consumer is gone, and the next reader gets a sound one.
    assert sum(len(b) for b in source.read(part)) == 5


def test_a_broker_that_is_killed_and_comes_back(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(1000))
    source = broker.source(topic, settings=broker.settings(stall_seconds=2.0))
    lake = Lake()
    lake.cycle(source, max_bytes=5000)
    (part,) = source.plan(lake.committed, 1 << 20)
    (node,) = broker.cluster.nodes
    broker.cluster.kill_node(node)
    try:
        with pytest.raises(KafkaUnavailable, match="could not describe topic"):
            source.plan(lake.committed, 1 << 20)
        with pytest.raises(KafkaUnavailable):
            list(source.read(Slice(part.uri, part.app_id, part.start + 5, part.end, part.label)))
    finally:
        broker.cluster.start()
        broker.admin.close()
        broker.reconnect()
    lake.drain(source)
    assert lake.values() == values(1000)


def _read_in_another_process(pickled: bytes) -> list[bytes]:
    source, part = pickle.loads(pickled)
    return [value for block in source.read(part) for value in block.records()]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_slices_are_read_in_worker_processes(broker: Broker, method: str) -> None:
    topic = broker.topic()
    broker.send(topic, values(100))
    source = broker.source(topic)
    (part,) = source.plan(lambda app_id: None, 1 << 20)
    assert sum(len(b) for b in source.read(part)) == 100, "the parent has clients of its own"
    with get_context(method).Pool(1) as pool:
        for _ in range(2):
            assert pool.apply(_read_in_another_process, (pickle.dumps((source, part)),)) == values(100)
        pool.close()
        pool.join()


def test_a_pickled_source_holds_no_secret(broker: Broker) -> None:
    settings = broker.settings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="alice",
        sasl_password="hush-hush-9",
    )
    source = KafkaSource(f"kafka://{broker.cluster.bootstrap()}/t", settings=settings)
    assert b"hush" not in pickle.dumps(source)
    assert "hush" not in repr(settings)
