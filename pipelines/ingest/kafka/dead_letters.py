"""Rejected records to a topic of their own: original bytes, key and headers, with the reason and the
position.

Here: fetching the originals by offset and producing them with kafka-python. Not here: deciding what is a
reject, and the copy of it in the lake, which is always kept. The values are the original ones, framing
included, so the dead-letter topic is an ordinary source: once the cause is mended, ingest it like any other
topic.

Delivery is at least once: ingest sends before the lake's commit, and a crash in between sends again. The header
`scarecrow.position` is unique per record and tells repeats apart; when the dead-letter topic is ingested, event_id
does.
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa
from confluent_kafka import KafkaError as BulkError
from confluent_kafka import KafkaException, Message
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from pipelines.ingest.kafka.address import PartitionId, parse_app_id
from pipelines.ingest.kafka.clients import python_options
from pipelines.ingest.kafka.consumers import BulkConsumer, lent_consumer
from pipelines.ingest.kafka.errors import KafkaUnavailable, translated, translated_bulk
from pipelines.ingest.kafka.reader import LOST
from pipelines.ingest.kafka.settings import KafkaSettings

REASON = "scarecrow.reason"
POSITION = "scarecrow.position"
ORIGINAL = "scarecrow.original"

_NEAR = 2000
_BITE = 64
_WAIT_SECONDS = 0.05
_LARGEST = 64 << 20
_AT_ONCE = 5000

_Letter = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


@dataclass(frozen=True)
class Reject:
    """One rejected record of a Kafka source: where it is (app_id, offset) and why."""

    app_id: str
    offset: int
    reason: str


class DeadLetters:
    """A producer to one dead-letter topic. servers: where it is, and the source too unless source_servers differ."""

    def __init__(
        self, settings: KafkaSettings, servers: str, topic: str, source_servers: str | None = None
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._source_servers = source_servers or servers
        self._topic = topic
        try:
            self._producer = KafkaProducer(
                **python_options(settings, servers),
                acks="all",
                max_request_size=_LARGEST,
                linger_ms=20,
                # An idempotent producer fails for good at a record that is too large. Repeats are allowed here.
                enable_idempotence=False,
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

        A record that is not in the log any more goes without a value and with the header
        `scarecrow.original: gone`; one that the topic is configured to refuse for its size, with `too large`.
        Raises KafkaUnavailable or KafkaRefused; then send all of them again.
        """
        by_partition: dict[str, list[Reject]] = {}
        for reject in rejects:
            by_partition.setdefault(reject.app_id, []).append(reject)
        letters = (
            _letter(where, reject, message)
            for app_id, some in by_partition.items()
            for where in [parse_app_id(app_id)]
            for reject, message in self._with_originals(where, sorted(some, key=lambda r: r.offset))
        )
        count = 0
        try:
            while some := list(itertools.islice(letters, _AT_ONCE)):
                count += len(some)
                # A batch is refused for its largest record, so each gets a second chance alone.
                for letter in self._delivered(some):
                    for large in self._delivered([letter]):
                        if self._delivered([_without_value(*large, b"too large")]):
                            raise MessageSizeTooLargeError
        except (KafkaError, OSError) as error:
            raise translated(error, f"take rejects into {self._topic}", self._servers) from error
        return count

    def send_rejects(self, rejects: pa.Table) -> int:
        """The same for a table of schemas.account_hour.REJECTS; lost ranges are no records and are left out."""
        columns = (rejects[name].to_pylist() for name in ("app_id", "offset", "reason"))
        return self.send(
            Reject(app_id, after - 1, reason)
            for app_id, after, reason in zip(*columns, strict=True)
            if not reason.startswith(LOST)
        )

    def _delivered(self, letters: Iterable[_Letter]) -> list[_Letter]:
        """Returns when the brokers have them, with those that were refused for their size or a neighbour's."""
        sent = []
        large = []
        for letter in letters:
            key, value, headers = letter
            try:
                sent.append((letter, self._producer.send(self._topic, value=value, key=key, headers=headers)))
            except MessageSizeTooLargeError:
                large.append(letter)
        self._producer.flush(timeout=self._settings.stall_seconds)
        for letter, future in sent:
            try:
                future.get(timeout=self._settings.stall_seconds)
            except MessageSizeTooLargeError:
                large.append(letter)
        return large

    def _with_originals(
        self, where: PartitionId, rejects: Sequence[Reject]
    ) -> Iterator[tuple[Reject, Message | None]]:
        with lent_consumer(self._settings, self._source_servers) as bulk:
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
                raise translated_bulk(
                    error.args[0], f"read {where.name} again", self._source_servers
                ) from error


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


def _letter(where: PartitionId, reject: Reject, message: Message | None) -> _Letter:
    """Key, value and headers of a dead letter."""
    ours = [
        (REASON, reject.reason.encode()),
        (POSITION, f"{where.name}@{reject.offset}".encode()),
    ]
    if message is None:
        return _without_value(None, None, ours, b"gone")
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    theirs = [(name, _bytes(value) or b"") for name, value in pairs]
    return _bytes(message.key()), _bytes(message.value()) or b"", [*theirs, *ours]


def _without_value(
    key: bytes | None, _value: bytes | None, headers: list[tuple[str, bytes]], why: bytes
) -> _Letter:
    # A record needs a key or a value, so one without either gets its position for a key.
    return key or dict(headers)[POSITION], None, [*headers, (ORIGINAL, why)]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
