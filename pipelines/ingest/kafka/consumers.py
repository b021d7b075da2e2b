"""Bulk consumers of this process: opened once, lent to one reader at a time, closed at exit.

Here: the pool, where each consumer stands, and what it heard from its brokers. Not here: what is read
(reader.py). A librdkafka handle does not survive a fork, so every process has its own. A consumer that is
given back where a range ended has read ahead already; whoever asks for the next range of that partition gets
it.
"""

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as BulkError

from pipelines.ingest.kafka.address import PartitionId
from pipelines.ingest.kafka.clients import consumer_options
from pipelines.ingest.kafka.errors import is_refusal, translated_bulk
from pipelines.ingest.kafka.settings import KafkaSettings

_MOST_IDLE = 4
_ACCESS_SECONDS = 0.5


class BulkConsumer:
    """A librdkafka consumer. refusal: the last one that it was told of outside of any message."""

    def __init__(self, settings: KafkaSettings, servers: str) -> None:
        self.servers = servers
        self.refusal: BulkError | None = None
        self.consumer = Consumer(consumer_options(settings, servers) | {"error_cb": self._heard})
        self._standing: tuple[PartitionId, int] | None = None

    def go_to(self, where: PartitionId, offset: int) -> None:
        """The next record consumed will be the first at or after `offset`."""
        if not self.stands_at(where, offset):
            self.consumer.assign([TopicPartition(where.topic, where.partition, offset)])
        self._standing = None

    def stay_at(self, where: PartitionId, offset: int) -> None:
        """Promises that everything before `offset` was consumed and nothing from there on."""
        self._standing = (where, offset)

    def stands_at(self, where: PartitionId, offset: int) -> bool:
        """True when `go_to` would cost nothing."""
        return self._standing == (where, offset)

    @property
    def is_standing(self) -> bool:
        """True when it has read ahead somewhere."""
        return self._standing is not None

    def forget(self) -> None:
        """It stands nowhere from now on."""
        self._standing = None

    def leave(self) -> None:
        """Forgets what was read ahead, unless the consumer was told to stay."""
        if self._standing is None:
            self.consumer.unassign()

    def _heard(self, error: BulkError) -> None:
        if is_refusal(error):
            self.refusal = error


_Key = tuple[int, KafkaSettings, str]
_idle: dict[_Key, list[BulkConsumer]] = {}
_lock = threading.Lock()


def _unlock() -> None:
    """A forked child must not wait for a thread that it does not have."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock)


@contextmanager
def lent_consumer(
    settings: KafkaSettings, servers: str, near: tuple[PartitionId, int] | None = None
) -> Iterator[BulkConsumer]:
    """A consumer for as long as the context lasts, the one that stands at `near` if there is one.

    Kept for the next reader unless the context failed. Threads and interleaved generators get different ones.
    """
    key = (os.getpid(), settings, servers)
    with _lock:
        idle = _idle.setdefault(key, [])
        chosen = next((b for b in idle if near is not None and b.stands_at(*near)), None)
        if chosen is None:
            chosen = next((b for b in idle if not b.is_standing), None)
        if chosen is None and len(idle) >= _MOST_IDLE:
            chosen = idle[0]
        if chosen is not None:
            idle.remove(chosen)
    if chosen is None:
        chosen = BulkConsumer(settings, servers)
    elif near is None or not chosen.stands_at(*near):
        # Whoever gets it moves it, and it must not be taken for one that still stands where it stood.
        chosen.forget()
    is_sound = False
    try:
        yield chosen
        chosen.leave()
        is_sound = True
    finally:
        if is_sound:
            with _lock:
                _idle.setdefault(key, []).append(chosen)
        else:
            chosen.consumer.close()


def check_access(settings: KafkaSettings, servers: str) -> None:
    """Returns when a broker let us in. Raises KafkaRefused at once for wrong credentials, KafkaUnavailable
    after `stall_seconds`. (kafka-python tries a refused password again and again and then calls it a
    timeout.)
    """
    doing = "let us in"
    deadline = time.monotonic() + settings.stall_seconds
    bulk = BulkConsumer(settings, servers)
    try:
        while True:
            try:
                bulk.consumer.list_topics(timeout=_ACCESS_SECONDS)
                return
            except KafkaException as error:
                bulk.consumer.poll(0)
                if bulk.refusal is not None:
                    raise translated_bulk(bulk.refusal, doing, servers) from None
                if time.monotonic() > deadline:
                    raise translated_bulk(error.args[0], doing, servers) from None
    finally:
        bulk.consumer.close()


@atexit.register
def close_idle_consumers() -> None:
    """Closes what this process keeps open."""
    for key in [key for key in _idle if key[0] == os.getpid()]:
        for bulk in _idle.pop(key):
            bulk.consumer.close()
