"""Kafka topics: one record per notice, acknowledged by all replicas before it counts as sent.

The key is the subject, so that its records stay in order; the header `scarecrow.delivery` is the idempotency
key.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.alerts.channels.base import Delivery, Refused, TryAgain
from pipelines.alerts.channels.cloudevents import CONTENT_TYPE, encoded, event
from pipelines.alerts.notice import Notice

if TYPE_CHECKING:  # Kafka is imported where it is used: it takes a second, and few installations alert by it
    from pipelines.ingest.kafka.address import Address
    from pipelines.ingest.kafka.settings import KafkaSettings

SCHEME = "kafka://"
DELIVERY = "scarecrow.delivery"


class TopicWriter:
    """A producer that is opened when it is first needed. Never used from two threads."""

    def __init__(self, address: "Address", settings: "KafkaSettings", timeout_seconds: float) -> None:
        self.address = address
        self._settings = settings
        self._timeout = timeout_seconds
        self._producer: Any = None

    def write(self, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        """Returns when the brokers have the record. Raises TryAgain or Refused."""
        from kafka.errors import KafkaError

        from pipelines.ingest.kafka.errors import KafkaRefused, translated

        topic, servers = self.address.topic, self.address.servers
        try:
            sent = self._opened().send(topic, value=value, key=key, headers=headers)
            sent.get(timeout=self._timeout)
        except (KafkaError, OSError) as error:
            found = translated(error, f"take a record into {topic}", servers)
            if isinstance(found, KafkaRefused):
                raise Refused(str(found)) from None
            raise TryAgain(str(found)) from None

    def _opened(self) -> Any:
        if self._producer is None:
            from kafka import KafkaProducer

            from pipelines.ingest.kafka.clients import python_options

            options = python_options(self._settings, self.address.servers)
            wait_ms = int(self._timeout * 1000)
            options |= {
                "request_timeout_ms": wait_ms,
                "max_block_ms": wait_ms,
                "delivery_timeout_ms": wait_ms,
            }
            self._producer = KafkaProducer(**options, acks="all", enable_idempotence=True)
        return self._producer

    def close(self) -> None:
        """Closes the producer, if there is one."""
        if self._producer is not None:
            self._producer.close(timeout=self._timeout)
            self._producer = None


class Topic:
    """A topic whose values `render` makes of a notice."""

    def __init__(
        self,
        name: str,
        writer: TopicWriter,
        render: Callable[[Notice, Delivery], bytes],
        content_type: str,
        takes_digests: bool,
    ) -> None:
        self.name = name
        self.takes_digests = takes_digests
        self._writer = writer
        self._render = render
        self._content_type = content_type

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Produces the record."""
        headers = [(DELIVERY, delivery.key.encode()), ("content-type", self._content_type.encode())]
        self._writer.write(notice.uid.encode(), self._render(notice, delivery), headers)
        return None

    def close(self) -> None:
        """Closes the producer."""
        self._writer.close()


def cloudevents_topic(writer: TopicWriter, installation: str) -> Topic:
    """A topic of CloudEvents in structured mode."""
    return Topic(
        "kafka", writer, lambda n, d: encoded(event(n, d.key, installation)), CONTENT_TYPE, takes_digests=True
    )
