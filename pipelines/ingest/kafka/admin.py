"""Questions to the brokers by kafka-python: the topic's id and partitions, log bounds, offsets by time, group
offsets.

Here: one connection per process and server list, and its questions. Not here: reading records (reader.py),
decisions (plan.py).
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from kafka.net.compat import KafkaNetClient
from kafka.structs import OffsetAndMetadata
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from pipelines.ingest.kafka.clients import python_options
from pipelines.ingest.kafka.consumers import check_access
from pipelines.ingest.kafka.errors import TopicChanged, TopicMissing, translated
from pipelines.ingest.kafka.settings import KafkaSettings

_Answer = TypeVar("_Answer")
_COMMITTED = "read_committed"


@dataclass(frozen=True)
class Topic:
    """One incarnation of a topic: its name, id, and the numbers of its partitions in order.

    leaderless: those that no broker serves at the moment; they are not in `partitions`.
    """

    name: str
    topic_id: str
    partitions: tuple[int, ...]
    leaderless: tuple[int, ...] = ()


def open_admin(**options: object) -> KafkaAdminClient:
    """A connected administration client; when that fails, nothing of it stays behind.

    kafka-python starts a thread before it connects and forgets it when it cannot: an outage would pile them
    up.
    """
    made: list[KafkaNetClient] = []

    def remembered(**inner: object) -> KafkaNetClient:
        made.append(KafkaNetClient(**inner))
        return made[-1]

    try:
        return KafkaAdminClient(**options, kafka_client=remembered)
    except (KafkaError, OSError):
        for client in made:
            client.close()
        raise


class Admin:
    """A kafka-python administration connection that is opened when asked first and anew after a failure.

    Every method raises KafkaUnavailable or KafkaRefused. Threads take turns.
    """

    def __init__(self, settings: KafkaSettings, servers: str) -> None:
        self._settings = settings
        self._servers = servers
        self._client: KafkaAdminClient | None = None
        self._turn = threading.Lock()

    def close(self) -> None:
        """Closes the connection, if one is open."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, doing: str, question: Callable[[Any], _Answer]) -> _Answer:
        # A connection lost since the last question, or a coordinator that is being elected, is no reason to
        # give up.
        attempts = Retrying(
            retry=retry_if_exception(_is_passing),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_after_attempt(5) | stop_after_delay(self._settings.stall_seconds),
            reraise=True,
        )
        try:
            with self._turn:
                answer: _Answer = attempts(self._ask_once, question)
            return answer
        except (KafkaError, OSError) as error:
            raise translated(error, doing, self._servers) from error

    def _ask_once(self, question: Callable[[Any], _Answer]) -> _Answer:
        try:
            if self._client is None:
                self._client = self._open()
            return question(self._client)
        except (KafkaError, OSError):
            self.close()
            raise

    def _open(self) -> KafkaAdminClient:
        if self._settings.security_protocol != "PLAINTEXT":
            check_access(self._settings, self._servers)
        options = python_options(self._settings, self._servers)
        return open_admin(**options, bootstrap_timeout_ms=options["request_timeout_ms"])

    def topic(self, name: str) -> Topic:
        """What the topic is now. Raises TopicMissing when there is no such topic."""
        doing = f"describe topic {name}"
        found = self._ask(doing, lambda client: client.describe_topics([name]))[0]
        error = for_code(found["error_code"])
        if error.errno == 3:
            raise TopicMissing(
                f"Kafka at {self._servers} has no topic {name!r}; create it, or correct the address."
            )
        if error.errno != 0:
            raise translated(error(), doing, self._servers)
        served = {p["partition_index"]: p["leader_id"] >= 0 for p in found["partitions"]}
        with_leader = tuple(sorted(number for number, is_served in served.items() if is_served))
        without = tuple(sorted(number for number, is_served in served.items() if not is_served))
        return Topic(name, str(found["topic_id"]), with_leader, without)

    def create_topic(self, name: str, partitions: int) -> None:
        """Creates a topic with the cluster's default replication, unless it is there already."""

        def create(client: Any) -> None:
            with suppress(TopicAlreadyExistsError):
                client.create_topics({name: {"num_partitions": partitions}}, wait_for_metadata=True)

        self._ask(f"create topic {name}", create)

    def log_bounds(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Per partition: log start and last stable offset (what a read-committed reader may read up to)."""
        wanted = [TopicPartition(topic, p) for p in partitions]
        starts = self._offsets(dict.fromkeys(wanted, OffsetSpec.EARLIEST))
        ends = self._offsets(dict.fromkeys(wanted, OffsetSpec.LATEST))
        return {tp.partition: (starts[tp].offset, max(starts[tp].offset, ends[tp].offset)) for tp in wanted}

    def offsets_at(self, topic: str, partitions: Iterable[int], epoch_ms: int) -> dict[int, int]:
        """Per partition: offset of the first record whose time in Kafka is at or after `epoch_ms`; the end if
        there is none.
        """
        wanted = [TopicPartition(topic, p) for p in partitions]
        found = self._offsets(dict.fromkeys(wanted, epoch_ms))
        beyond = [tp for tp in wanted if found[tp].offset < 0]
        ends = self._offsets(dict.fromkeys(beyond, OffsetSpec.LATEST)) if beyond else {}
        return {tp.partition: (ends[tp] if tp in ends else found[tp]).offset for tp in wanted}

    def _offsets(self, specs: Mapping[TopicPartition, Any]) -> Any:
        if not specs:
            return {}
        return self._ask(
            "tell its log offsets",
            lambda client: client.list_partition_offsets(dict(specs), isolation_level=_COMMITTED),
        )

    def commit_group(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Sets the group's offsets. Raises KafkaUnavailable when members of the group are alive (they commit
        themselves).
        """
        wanted = {
            TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()
        }

        def commit(client: Any) -> None:
            for error in client.alter_group_offsets(group, wanted).values():
                if error.errno != 0:
                    raise error()

        self._ask(f"commit offsets of group {group}", commit)

    def group_offsets(self, group: str, topic: str) -> dict[int, int]:
        """The group's committed offsets of a topic."""
        answers = self._ask(f"tell offsets of group {group}", lambda client: client.list_group_offsets(group))
        found = answers.get(group, answers)
        return {tp.partition: o.offset for tp, o in found.items() if tp.topic == topic and o.offset >= 0}


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, KafkaError) and bool(error.retriable)


# A connection does not survive a fork, so the process is part of the key.
_open: dict[tuple[int, KafkaSettings, str], Admin] = {}


def shared_admin(settings: KafkaSettings, servers: str) -> Admin:
    """This process's connection to these brokers."""
    key = (os.getpid(), settings, servers)
    if key not in _open:
        _open[key] = Admin(settings, servers)
    return _open[key]


@atexit.register
def close_shared_admins() -> None:
    """Closes this process's connections."""
    for key in [key for key in _open if key[0] == os.getpid()]:
        _open.pop(key).close()


def check_incarnation(admin: Admin, name: str, topic_id: str) -> None:
    """Raises TopicChanged when the topic now has another id: what was read under its name belongs to another
    log.
    """
    now = admin.topic(name).topic_id
    if now != topic_id:
        raise TopicChanged(
            f"Topic {name!r} was deleted and created anew (id {topic_id}, now {now}); nothing of this slice"
            " is used, plan again."
        )
