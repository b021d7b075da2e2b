"""Rejected records to a topic of their own: original bytes, key and headers, with the reason and the
position.

Here: fetching the originals by offset and producing them with kafka-python. Not here: deciding what is a
reject, and the copy of it in the lake, which is always kept. The values are the original ones, framing
included, so the dead-letter topic is an ordinary source: once the cause is mended, ingest it like any other
topic.

Delivery is at least once: send before the lake's commit, and a crash in between sends again. The header
`scarecrow.position` is unique per record and tells repeats apart.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError as BulkError
from confluent_kafka import KafkaException, Message
from kafka import KafkaProducer
from kafka.errors import KafkaError

from pipelines.ingest.kafka.address import PartitionId, parse_app_id
from pipelines.ingest.kafka.clients import python_options
from pipelines.ingest.kafka.consumers import BulkConsumer, lent_consumer
from pipelines.ingest.kafka.errors import KafkaUnavailable, translated, translated_bulk
from pipelines.ingest.kafka.settings import KafkaSettings

REASON = "scarecrow.reason"
POSITION = "scarecrow.position"
ORIGINAL = "scarecrow.original"

_NEAR = 2000
_BITE = 64
_WAIT_SECONDS = 0.05
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Reject:
    """One rejected record of a Kafka source: where it is (app_id, offset) and why."""

    app_id: str
    offset: int
    reason: str


class DeadLetters:
    """A producer to one dead-letter topic; `servers` are those of source and dead letters alike."""

    def __init__(self, settings: KafkaSettings, servers: str, topic: str) -> None:
        self._settings = settings
        self._servers = servers
        self._topic = topic
        try:
            self._producer = KafkaProducer(
                **python_options(settings, servers), acks="all", max_request_size=_LARGEST, linger_ms=20
            )
        except (KafkaError, OSError) as error:
            raise translated(error, f"open a producer to {topic}", servers) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the producer."""
        self._producer.close(timeout=self._settings.stall_seconds)

    def send(self, rejects: Iterable[Reject]) -> int:
        """Sends every reject and returns how many there were, when the brokers have them all.

        A record that is not in the log any more goes with an empty value and the header
        `scarecrow.original: gone`. Raises KafkaUnavailable or KafkaRefused; then send all of them again.
        """
        by_partition: dict[str, list[Reject]] = {}
        for reject in rejects:
            by_partition.setdefault(reject.app_id, []).append(reject)
        sent = []
        try:
            for app_id, some in by_partition.items():
                where = parse_app_id(app_id)
                for reject, message in self._with_originals(where, sorted(some, key=lambda r: r.offset)):
                    key, value, headers = _letter(where, reject, message)
                    sent.append(self._producer.send(self._topic, value=value, key=key, headers=headers))
            self._producer.flush(timeout=self._settings.stall_seconds)
            for future in sent:
                future.get(timeout=self._settings.stall_seconds)
        except (KafkaError, OSError) as error:
            raise translated(error, f"take rejects into {self._topic}", self._servers) from error
        return len(sent)

    def _with_originals(
        self, where: PartitionId, rejects: Sequence[Reject]
    ) -> Iterator[tuple[Reject, Message | None]]:
        with lent_consumer(self._settings, self._servers) as bulk:
            try:
                found = originals(
                    bulk, where, sorted({r.offset for r in rejects}), self._settings.stall_seconds
                )
                message: tuple[int, Message | None] = (-1, None)
                for reject in rejects:
                    if message[0] != reject.offset:
                        message = next(found)
                    yield reject, message[1]
            except KafkaException as error:
                raise translated_bulk(error.args[0], f"read {where.name} again", self._servers) from error


def originals(
    bulk: BulkConsumer, where: PartitionId, offsets: Sequence[int], stall_seconds: float
) -> Iterator[tuple[int, Message | None]]:
    """(offset, message) for each of `offsets`, which are distinct and in order; None for what is not there.

    Offsets that lie near each other are read in one go.
    """
    wanted = iter(offsets)
    waiting = next(wanted, None)
    position: int | None = None
    heard = time.monotonic()
    while waiting is not None:
        if position is None or not position <= waiting < position + _NEAR:
            bulk.go_to(where, waiting)
            position = waiting
        messages = bulk.consumer.consume(_BITE, timeout=_WAIT_SECONDS)
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > stall_seconds:
            raise KafkaUnavailable(
                f"Kafka at {bulk.servers} sent nothing of {where.name} for {stall_seconds:g} s; check that"
                " the broker is reachable."
            )
        for message in messages:
            error = message.error()
            at = message.offset()
            if error is not None:
                gone = error.code() in (BulkError._AUTO_OFFSET_RESET, BulkError._PARTITION_EOF)
                if not gone and not error.retriable():
                    raise translated_bulk(error, f"read {where.name} again", bulk.servers)
                if gone and waiting is not None:
                    yield waiting, None
                    waiting = next(wanted, None)
                    position = None
                continue
            if at is None:
                continue
            position = at + 1
            while waiting is not None and waiting <= at:
                yield waiting, message if waiting == at else None
                waiting = next(wanted, None)


def _letter(
    where: PartitionId, reject: Reject, message: Message | None
) -> tuple[bytes | None, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a dead letter."""
    ours = [
        (REASON, reject.reason.encode()),
        (POSITION, f"{where.name}@{reject.offset}".encode()),
    ]
    if message is None:
        return None, b"", [*ours, (ORIGINAL, b"gone")]
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    theirs = [(name, _bytes(value) or b"") for name, value in pairs]
    return _bytes(message.key()), _bytes(message.value()) or b"", [*theirs, *ours]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
