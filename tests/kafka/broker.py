"""A running broker and what tests do to it: topics, records, transactions. The tests' own client, not the
product's.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from infra.kafka.cluster import Cluster
from pipelines.ingest.kafka import KafkaSettings, KafkaSource
from pipelines.ingest.source import Block

_names = itertools.count()


@dataclass
class Broker:
    """One cluster and an administration client of the tests' own."""

    cluster: Cluster
    admin: Any = field(init=False)

    def __post_init__(self) -> None:
        self.reconnect()

    def reconnect(self) -> None:
        """A fresh administration client (after a restart)."""
        self.admin = KafkaAdminClient(bootstrap_servers=self.cluster.bootstrap())

    def topic(self, partitions: int = 1, name: str | None = None, **config: object) -> str:
        """Creates a topic; config: names with underscores for dots."""
        name = name or f"t{next(_names)}"
        wanted = {key.replace("_", "."): str(value) for key, value in config.items()}
        # The cluster's own default replication: one copy on one node, three on three.
        eventually(lambda: self._create(name, {"num_partitions": partitions, "configs": wanted}))
        return name

    def _create(self, name: str, options: dict[str, object]) -> bool:
        try:
            self.admin.create_topics({name: options}, wait_for_metadata=True)
        except KafkaError:  # the same name is still being deleted
            return False
        return True

    def configure(self, topic: str, **config: object) -> None:
        """Changes a topic's configuration."""
        wanted = {key.replace("_", "."): str(value) for key, value in config.items()}
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=wanted)])

    def delete(self, topic: str) -> None:
        """Deletes a topic and waits until it is gone."""
        self.admin.delete_topics([topic])
        eventually(lambda: self.admin.describe_topics([topic])[0]["error_code"] == 3)

    def delete_records(self, topic: str, before: int, partition: int = 0) -> None:
        """Moves the log start, as retention does."""
        self.admin.delete_records({TopicPartition(topic, partition): before})

    def producer(self, **options: object) -> Producer:
        """A producer; option names with underscores for dots."""
        dotted = {key.replace("_", "."): value for key, value in options.items()}
        return Producer({"bootstrap.servers": self.cluster.bootstrap(), "linger.ms": 1, **dotted})

    def send(self, topic: str, values: Iterable[bytes | None], partition: int = 0, **options: object) -> None:
        """Sends values in order and waits until the broker has them."""
        producer = self.producer(**options)
        for value in values:
            producer.produce(topic, value, partition=partition)
            producer.poll(0)
        assert not producer.flush(30)

    def transactions(
        self, topic: str, steps: Sequence[tuple[str, Sequence[bytes]]], partition: int = 0
    ) -> None:
        """Runs transactions one after the other. A step is ("commit" or "abort", values)."""
        producer = self.producer(transactional_id=f"tx-{next(_names)}")
        producer.init_transactions(30)
        for how, values in steps:
            producer.begin_transaction()
            for value in values:
                producer.produce(topic, value, partition=partition)
            producer.flush(30)
            if how == "commit":
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)

    def settings(self, **changes: object) -> KafkaSettings:
        """Plain settings with a short patience."""
        return KafkaSettings.model_validate({"stall_seconds": 10.0} | changes)

    def source(self, topic: str, **options: Any) -> KafkaSource:
        """The product's source of a topic."""
        options.setdefault("settings", self.settings())
        return KafkaSource(f"kafka://{self.cluster.bootstrap()}/{topic}", **options)


@dataclass
class Lake:
    """What a lake does for a source: remembers positions, and refuses a slice that does not start where it
    stands.
    """

    positions: dict[str, int] = field(default_factory=dict)
    records: list[tuple[str, int, bytes]] = field(default_factory=list)
    rejects: list[tuple[str, int, str]] = field(default_factory=list)

    def committed(self, app_id: str) -> int | None:
        return self.positions.get(app_id)

    def values(self) -> list[bytes]:
        return [value for _, _, value in self.records]

    def cycle(self, source: KafkaSource, max_bytes: int = 1 << 20) -> int:
        """One cycle; returns the number of slices."""
        parts = source.plan(self.committed, max_bytes)
        for part in parts:
            assert part.start < part.end
            assert self.positions.get(part.app_id, part.start) == part.start
            blocks = list(source.read(part))
            for block in blocks:
                self.records += [(part.label, *record) for record in records_of(block)]
                self.rejects += [(part.label, r.position, r.reason) for r in block.rejects]
            self.positions[part.app_id] = part.end
        source.acknowledge(self.positions)
        return len(parts)

    def drain(self, source: KafkaSource, max_bytes: int = 1 << 20) -> None:
        """Cycles until there is nothing new."""
        while self.cycle(source, max_bytes):
            pass


def records_of(block: Block) -> list[tuple[int, bytes]]:
    """(position, bytes) of each record of a block."""
    return list(zip(block.positions.tolist(), block.records(), strict=True))


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns as soon as the condition holds; fails the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
