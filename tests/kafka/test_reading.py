"""Reading from a real broker: every committed record once, whatever gaps the log has."""

import random
import time
from itertools import pairwise

import pytest

from pipelines.ingest.kafka import TopicMissing
from pipelines.ingest.source import Slice
from tests.kafka.broker import Broker, Lake, eventually, records_of


def values(count: int, tag: str = "r") -> list[bytes]:
    return [b'{"event_id":"%s-%d"}' % (tag.encode(), i) for i in range(count)]


def test_everything_is_read_once_in_small_slices(broker: Broker) -> None:
    topic = broker.topic(partitions=3)
    sent = {p: values(500 + 100 * p, f"p{p}") for p in range(3)}
    for partition, what in sent.items():
        broker.send(topic, what, partition)
    lake = Lake()
    source = broker.source(topic)
    cycles = 0
    while lake.cycle(source, max_bytes=4000):
        cycles += 1
    assert cycles > 5
    for partition, what in sent.items():
        mine = [r for r in lake.records if r[0] == f"{topic}[{partition}]@"]
        assert [v for _, _, v in mine] == what
        assert [offset for _, offset, _ in mine] == list(range(len(what)))
    assert lake.cycle(source) == 0


def test_nothing_new_is_no_slice(broker: Broker) -> None:
    assert Lake().cycle(broker.source(broker.topic(partitions=2))) == 0


def test_a_missing_topic_is_one_sentence(broker: Broker) -> None:
    with pytest.raises(TopicMissing, match=r"has no topic 'nowhere'; create it"):
        broker.source("nowhere").plan(lambda app_id: None, 1000)


def mixed_log(broker: Broker) -> tuple[str, list[bytes]]:
    """A partition of committed, aborted and plain records, and what a reader may see of it."""
    topic = broker.topic()
    broker.transactions(
        topic, [("abort", values(3, "x0")), ("commit", values(4, "a")), ("abort", values(30, "x1"))]
    )
    broker.send(topic, values(2, "b"))
    broker.transactions(
        topic, [("commit", values(1, "c")), ("abort", values(5, "x2")), ("abort", values(5, "x3"))]
    )
    # Six control records take offsets too; the broker writes them a little later than it answers.
    eventually(
        lambda: broker.source(topic).status(lambda app_id: None)[0].end == 3 + 4 + 30 + 2 + 1 + 5 + 5 + 6
    )
    return topic, values(4, "a") + values(2, "b") + values(1, "c")


def test_aborted_transactions_are_not_seen_and_gaps_cost_no_waiting(broker: Broker) -> None:
    topic, seen = mixed_log(broker)
    lake = Lake()
    source = broker.source(topic)
    began = time.monotonic()
    lake.drain(source)
    assert time.monotonic() - began < 5
    assert lake.values() == seen
    assert list(lake.positions.values()) == [56], "the position passes the control records at the end"


def test_cutting_the_log_anywhere_gives_the_same_records(broker: Broker) -> None:
    topic, seen = mixed_log(broker)
    source = broker.source(topic)
    (whole,) = source.plan(lambda app_id: None, 1 << 20)
    rng = random.Random(4)
    cuts = [sorted({0, whole.end, *rng.sample(range(1, whole.end), 6)}) for _ in range(3)]
    cuts.append(list(range(whole.end + 1)))
    for points in cuts:
        got = []
        for start, end in pairwise(points):
            part = Slice(whole.uri, whole.app_id, start, end, whole.label)
            found = [record for block in source.read(part) for record in records_of(block)]
            assert all(start <= offset < end for offset, _ in found)
            got += [value for _, value in found]
        assert got == seen, points


def test_an_open_transaction_holds_back_what_follows_it(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5, "before"))
    producer = broker.producer(transactional_id="open")
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values(3, "open"):
        producer.produce(topic, value, partition=0)
    producer.flush(30)
    broker.send(topic, values(2, "after"))
    lake = Lake()
    source = broker.source(topic)
    lake.drain(source)
    assert lake.values() == values(5, "before")
    assert list(lake.positions.values()) == [5]
    producer.commit_transaction(30)
    eventually(lambda: lake.cycle(source) > 0)
    lake.drain(source)
    assert lake.values() == values(5, "before") + values(3, "open") + values(2, "after")


def test_compaction_leaves_gaps_that_are_passed(broker: Broker) -> None:
    topic = broker.topic(
        cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01, segment_bytes=1 << 20
    )
    producer = broker.producer()
    sent = {}
    for i in range(300):
        value = b'{"n":%d}' % i
        producer.produce(topic, value, key=b"k%d" % (i % 7), partition=0)
        sent[i] = value
        if i % 50 == 49:
            assert producer.flush(30) == 0
            time.sleep(0.15)  # a new segment: the active one is never compacted

    def compacted() -> bool:
        # Another record rolls the segment; its key is new, so that it hides nothing.
        number = len(sent)
        sent[number] = b'{"n":%d}' % number
        producer.produce(topic, sent[number], key=b"roll%d" % number, partition=0)
        assert producer.flush(30) == 0
        time.sleep(0.1)
        probe = Lake()
        probe.drain(broker.source(topic))
        return len(probe.records) < len(sent) - 200

    eventually(compacted)
    lake = Lake()
    lake.drain(broker.source(topic), max_bytes=400)
    offsets = [offset for _, offset, _ in lake.records]
    assert offsets == sorted(set(offsets))
    assert len(offsets) < len(sent)
    assert all(sent[offset] == value for _, offset, value in lake.records)
    last = {i % 7: i for i in range(300)}
    assert set(last.values()) <= set(offsets), "the last value of every key survives compaction"


def test_large_records_keep_blocks_small(broker: Broker) -> None:
    topic = broker.topic(max_message_bytes=3 << 20)
    sent = values(400) + [b"x" * (2 << 20)] * 30 + values(400)
    broker.send(topic, sent, message_max_bytes=3 << 20)
    source = broker.source(topic)
    (part,) = source.plan(lambda app_id: None, 1 << 30)
    blocks = list(source.read(part))
    assert [value for block in blocks for value in block.records()] == sent
    assert len(blocks) > 3
    assert all(len(block.payload) <= 16 << 20 for block in blocks)
    assert all(len(block) <= 16_384 for block in blocks)


def test_slice_size_follows_the_size_of_records(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, [b"x" * 10_000] * 400)
    (part,) = broker.source(topic).plan(lambda app_id: None, 1_000_000)
    assert part.end == 100


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(broker: Broker, codec: str) -> None:
    topic = broker.topic()
    broker.send(topic, values(300), compression_type=codec)
    lake = Lake()
    lake.drain(broker.source(topic))
    assert lake.values() == values(300)
