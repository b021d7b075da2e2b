"""Dead letters: the original record, where it was, and why."""

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from pipelines.ingest.kafka.dead_letters import DeadLetters, Reject
from tests.kafka.broker import Broker, Lake
from tests.kafka.test_framing import frame_by_id


def letters(broker: Broker, topic: str, count: int) -> list[tuple[Any, Any, dict[str, Any]]]:
    consumer = Consumer({"bootstrap.servers": broker.cluster.bootstrap(), "group.id": "letters"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = consumer.consume(count, timeout=10)
    consumer.close()
    assert len(found) == count
    return [(m.key(), m.value(), dict(m.headers() or [])) for m in found]


def test_originals_with_reason_and_position(broker: Broker) -> None:
    topic, dead = broker.topic(partitions=2), broker.topic()
    bad = frame_by_id(b"{broken")
    producer = broker.producer()
    for i in range(3000):
        value = bad if i in (5, 2900) else b"{}"
        producer.produce(topic, value, key=b"k%d" % i, partition=1, headers=[("trace", b"\xff1")])
    producer.produce(topic, b"\xff\xfe", partition=0)
    producer.flush(20)
    source = broker.source(topic)
    app_ids = {s.name: s.app_id for s in source.status(lambda app_id: None)}
    zero, one = app_ids[f"{topic}[0]"], app_ids[f"{topic}[1]"]
    rejects = [
        Reject(one, 2900, "not JSON"),
        Reject(zero, 0, "not UTF-8"),
        Reject(one, 5, "not JSON, at “{”"),
    ]
    with DeadLetters(broker.settings(), broker.cluster.bootstrap(), dead) as sender:
        assert sender.send(rejects) == 3
        assert sender.send([]) == 0
    found = {h["scarecrow.position"].decode(): (k, v, h) for k, v, h in letters(broker, dead, 3)}
    key, value, headers = found[f"{topic}[1]@5"]
    assert (key, value, headers["trace"]) == (b"k5", bad, b"\xff1")
    assert headers["scarecrow.reason"].decode() == "not JSON, at “{”"
    assert found[f"{topic}[1]@2900"][0] == b"k2900"
    assert found[f"{topic}[0]@0"][1] == b"\xff\xfe"
    # What was mended is ingested from the dead-letter topic like from any other.
    lake = Lake()
    lake.drain(broker.source(dead))
    assert sorted(lake.values()) == sorted([b"{broken", b"{broken", b"\xff\xfe"])


def test_an_original_that_is_gone(broker: Broker) -> None:
    topic, dead = broker.topic(), broker.topic()
    broker.send(topic, [b"%d" % i for i in range(10)])
    (status,) = broker.source(topic).status(lambda app_id: None)
    broker.delete_records(topic, before=5)
    rejects = [Reject(status.app_id, offset, "bad") for offset in (1, 2, 7, 12)]
    with DeadLetters(broker.settings(), broker.cluster.bootstrap(), dead) as sender:
        assert sender.send(rejects) == 4
    found = {
        h["scarecrow.position"].decode(): (v, h.get("scarecrow.original"))
        for _, v, h in letters(broker, dead, 4)
    }
    assert found == {
        f"{topic}[0]@1": (None, b"gone"),
        f"{topic}[0]@2": (None, b"gone"),
        f"{topic}[0]@7": (b"7", None),
        f"{topic}[0]@12": (None, b"gone"),
    }
