"""Membership in a consumer group that only says which partitions this process follows.

Here: joining, tracking the assignment, committing advice as a member. Not here: reading; the members'
partitions stay paused, and if two processes believe for a moment that they own one partition, the lake's
transaction decides.
"""

import logging
import threading
import time
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as BulkError

from pipelines.ingest.kafka.clients import bulk_options
from pipelines.ingest.kafka.errors import KafkaUnavailable, is_refusal, translated_bulk
from pipelines.ingest.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_LEAVE_SECONDS = 2.0


class GroupMembership:
    """A member of `settings.group`, kept alive by a thread of its own until `close`.

    Only that thread touches the consumer: with confluent-kafka 2.16 a call from a second thread waits for
    ever while the first one polls.

    Partitions move in small steps (cooperative-sticky), so a new follower takes over without stopping the
    others.
    """

    def __init__(self, settings: KafkaSettings, servers: str, topic: str) -> None:
        self._servers = servers
        self._topic = topic
        self._group = settings.group
        self._lock = threading.Lock()
        self._mine: frozenset[int] = frozenset()
        self._was_assigned = threading.Event()
        self._closing = threading.Event()
        self._refusal: BulkError | None = None
        self._to_commit: dict[int, int] = {}
        self._commits_sent = 0
        self._commits_answered = 0
        session_ms = int(settings.session_seconds * 1000)
        self._consumer = Consumer(
            bulk_options(settings, servers)
            | {
                "group.id": settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": min(3000, session_ms // 3),
                "topic.metadata.refresh.interval.ms": 5000,
                "queued.min.messages": 1,
                "error_cb": self._heard,
                "on_commit": self._on_commit,
            }
        )
        self._consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )
        self._thread = threading.Thread(target=self._run, name="kafka-group-membership", daemon=True)
        self._thread.start()

    def assigned(self, wait_seconds: float = 0.0) -> frozenset[int]:
        """The partitions of this process now; waits that long for the first assignment.

        May be empty: more followers than partitions. Raises KafkaUnavailable when the group never answered.
        """
        if not self._was_assigned.wait(wait_seconds):
            if self._refusal is not None:
                raise translated_bulk(self._refusal, f"join group {self._group}", self._servers)
            raise KafkaUnavailable(
                f"Group {self._group!r} at {self._servers} assigned nothing within {wait_seconds:g} s; check"
                " the broker, or the rights on the group."
            )
        with self._lock:
            return self._mine

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Has offsets of partitions committed soon, as a member: advice for dashboards. Failures are logged
        only.
        """
        with self._lock:
            self._to_commit |= dict(offsets)

    def close(self) -> None:
        """Commits what is left and leaves the group, so that others take over without waiting."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            message = self._consumer.poll(_POLL_SECONDS)
            error = None if message is None else message.error()
            if error is not None:
                log.debug("group %s: %s", self._group, error.name())
                # A topic that is gone is told again and again without a pause.
                time.sleep(_POLL_SECONDS)
            self._commit_now()
        self._commit_now()
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self._commits_answered < self._commits_sent and time.monotonic() < deadline:
            self._consumer.poll(0.05)
        self._consumer.close()

    def _commit_now(self) -> None:
        with self._lock:
            offsets, self._to_commit = self._to_commit, {}
        if not offsets:
            return
        try:
            # Not waited for: while the group rebalances the answer may be long in coming.
            self._consumer.commit(
                offsets=[TopicPartition(self._topic, p, offset) for p, offset in offsets.items()],
                asynchronous=True,
            )
            self._commits_sent += 1
        except KafkaException as error:
            log.info("could not commit offsets of group %s: %s", self._group, error.args[0].name())

    def _on_commit(self, error: BulkError | None, _partitions: list[TopicPartition]) -> None:
        self._commits_answered += 1
        if error is not None:
            log.info("could not commit offsets of group %s: %s", self._group, error.name())

    def _heard(self, error: BulkError) -> None:
        if is_refusal(error):
            self._refusal = error

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # From the end and paused: this consumer never fetches a record.
        at_end = [TopicPartition(p.topic, p.partition, OFFSET_END) for p in partitions]
        consumer.incremental_assign(at_end)
        if at_end:
            consumer.pause(at_end)
        with self._lock:
            self._mine |= {p.partition for p in partitions}
        self._was_assigned.set()
        log.info("group %s: now following %s of %s", self._group, sorted(self._mine), self._topic)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        with self._lock:
            self._mine -= {p.partition for p in partitions}
        consumer.incremental_unassign(partitions)
        log.info("group %s: gave away %s", self._group, sorted(p.partition for p in partitions))
