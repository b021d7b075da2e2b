"""Bulk reading of one offset range by librdkafka: committed records only, every offset accounted for.

Here: assigning, consuming, gaps, lost ranges, the end of a range. Not here: which ranges (plan.py), what
surrounds a record (framing.py). Positions are offsets and never counts: control records of transactions,
aborted records and compacted ones leave gaps. Blocks hold at most 16,384 records and about 16 MB.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from confluent_kafka import KafkaError as BulkError
from confluent_kafka import KafkaException, Message, TopicPartition
from numpy.typing import NDArray

from pipelines.ingest.kafka.address import PartitionId
from pipelines.ingest.kafka.consumers import BulkConsumer
from pipelines.ingest.kafka.errors import KafkaUnavailable, translated_bulk
from pipelines.ingest.kafka.framing import block_of
from pipelines.ingest.source import Block, RawReject

log = logging.getLogger(__name__)

MAX_RECORDS = 16_384
MAX_BYTES = 16 << 20
# consume() waits until it has all it was asked for. Small bites come from what is already there, and were
# measured at three to four times the speed of bites of 10,000; they also bound what a sudden run of large
# records can take.
_BITE = 64
_BITE_BYTES = 1 << 20
# How long one consume() may wait: the cost of a gap at the end of a range, and of noticing the end of the
# log.
_WAIT_SECONDS = 0.05
_SAMPLE_SECONDS = 2.0


@dataclass
class _Pending:
    """Values that are not yet a block."""

    values: list[bytes] = field(default_factory=list)
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    size: int = 0
    skipped: int = 0

    def add(self, values: list[bytes], offsets: NDArray[np.int64]) -> None:
        self.values += values
        self.offsets.append(offsets)
        self.size += sum(map(len, values))

    def is_full(self) -> bool:
        return len(self.values) + _BITE > MAX_RECORDS or self.size >= MAX_BYTES - _BITE_BYTES

    def take(self) -> list[Block]:
        """What has gathered, as one block, or as several where one bite of large records was too much for
        one.
        """
        offsets = np.concatenate(self.offsets) if self.offsets else np.zeros(0, np.int64)
        cuts = [0]
        if self.size > MAX_BYTES:
            before = 0
            for i, total in enumerate(accumulate(map(len, self.values))):
                if total - before > MAX_BYTES and i > cuts[-1]:
                    cuts.append(i)
                    before = total - len(self.values[i])
        cuts.append(len(self.values))
        blocks = [block_of(self.values[a:b], offsets[a:b]) for a, b in pairwise(cuts)]
        blocks[-1].skipped = self.skipped
        self.values, self.offsets, self.size, self.skipped = [], [], 0, 0
        return blocks


def read_range(
    bulk: BulkConsumer, where: PartitionId, start: int, end: int, stall_seconds: float = 30.0
) -> Iterator[Block]:
    """All committed records with start <= offset < end, in order.

    Null values (tombstones) are counted as skipped. Offsets that the broker has deleted become
    one reject "lost offsets ..." at the first of them. Raises KafkaUnavailable when nothing comes for
    `stall_seconds`, KafkaRefused and TopicChanged as errors.py says.
    """
    try:
        yield from _Range(bulk, where, start, end, stall_seconds).blocks()
    except KafkaException as error:
        raise translated_bulk(error.args[0], f"read {where.name}", bulk.servers) from error


class _Range:
    """One range while it is read. position: the next offset that has not been seen."""

    def __init__(
        self, bulk: BulkConsumer, where: PartitionId, start: int, end: int, stall_seconds: float
    ) -> None:
        self._bulk = bulk
        self._where = where
        self._end = end
        self._stall_seconds = stall_seconds
        self._position = start
        self._lost: list[RawReject] = []
        self._lost_ranges: list[tuple[int, int]] = []
        # False once something at or behind `end` was taken from the consumer, which therefore cannot go on
        # there.
        self._is_exact = True

    def blocks(self) -> Iterator[Block]:
        pending = _Pending()
        bite = _BITE
        self._bulk.go_to(self._where, self._position)
        heard = time.monotonic()
        while self._position < self._end:
            messages = self._bulk.consumer.consume(
                min(bite, self._end - self._position), timeout=_WAIT_SECONDS
            )
            if not messages:
                self._check_patience(heard)
                continue
            before = self._position
            size = pending.size
            self._take(messages, pending)
            if self._position > before:
                heard = time.monotonic()
                bite = max(1, min(_BITE, _BITE_BYTES * len(messages) // max(1, pending.size - size)))
            else:
                self._check_patience(heard)
            if pending.values and pending.is_full():
                yield from pending.take()
        if self._is_exact:
            self._bulk.stay_at(self._where, self._end)
        if pending.values or self._lost or pending.skipped:
            blocks = pending.take()
            blocks[-1].rejects += self._lost
            blocks[-1].lost += self._lost_ranges
            yield from blocks

    def _check_patience(self, heard: float) -> None:
        if self._bulk.refusal is not None:
            raise translated_bulk(self._bulk.refusal, f"read {self._where.name}", self._bulk.servers)
        if time.monotonic() - heard > self._stall_seconds:
            raise KafkaUnavailable(
                f"Kafka at {self._bulk.servers} sent nothing of {self._where.name} from"
                f" offset {self._position} on for {self._stall_seconds:g} s, short of {self._end}; check"
                " that the broker is reachable."
            )

    def _take(self, messages: list[Message], pending: _Pending) -> None:
        """Adds the records of one bite and moves the position past them, past gaps and losses."""
        records = messages
        if any(map(Message.error, messages)):
            records = [m for m in messages if m.error() is None]
        if records:
            self._add(records, pending)
        if len(records) < len(messages):
            for message in messages:
                error = message.error()
                if error is not None:
                    self._event(message, error)

    def _add(self, records: list[Message], pending: _Pending) -> None:
        if set(map(Message.partition, records)) != {self._where.partition}:
            raise KafkaUnavailable(f"{self._where.name} gave records of another partition; plan again.")
        first, last = _offset(records[0]), _offset(records[-1])
        if not first >= self._position:
            raise KafkaUnavailable(
                f"{self._where.name} gave offset {first} where {self._position} was to come; plan again."
            )
        self._position = last + 1
        if last >= self._end:
            # A gap reached over the end of the range: what lies behind it belongs to the next one.
            records = [m for m in records if _offset(m) < self._end]
            self._is_exact = False
            self._position = self._end
            if not records:
                return
            last = _offset(records[-1])
        if last - first == len(records) - 1:
            offsets = np.arange(first, last + 1, dtype=np.int64)
        else:
            offsets = np.fromiter(map(_offset, records), np.int64, len(records))
        values: list[bytes | None] = list(map(Message.value, records))
        if None in values:
            kept = np.fromiter((v is not None for v in values), np.bool_, len(values))
            pending.skipped += len(values) - int(kept.sum())
            offsets = offsets[kept]
        present = [v for v in values if v is not None]
        if present:
            pending.add(present, offsets)

    def _event(self, message: Message, error: BulkError) -> None:
        """What is no record: the end of the log, an offset that is gone, an error."""
        code = error.code()
        if code == BulkError._PARTITION_EOF:
            # Everything up to the last stable offset was seen, so what is left of the range is a gap.
            if _is_of(message, self._where) and _offset(message) >= self._end:
                self._is_exact = self._is_exact and _offset(message) == self._end
                self._position = self._end
        elif code in (BulkError._AUTO_OFFSET_RESET, BulkError.OFFSET_OUT_OF_RANGE):
            # The consumer waits for a new assignment now, whoever goes on.
            self._is_exact = False
            if self._position < self._end:
                self._lose()
        elif not error.retriable():
            raise translated_bulk(error, f"read {self._where.name}", self._bulk.servers)

    def _lose(self) -> None:
        """The position is not in the log any more: go on at the log's start and report what lies between."""
        partition = TopicPartition(self._where.topic, self._where.partition)
        low, high = self._bulk.consumer.get_watermark_offsets(partition, timeout=self._stall_seconds)
        if low <= self._position:
            raise KafkaUnavailable(
                f"{self._where.name} ends at offset {high}, before {self._position} that it once had; the log"
                " was truncated or the topic created anew, plan again."
            )
        until = min(low, self._end)
        self._lost.append(RawReject(self._position, lost_reason(self._position, until), b""))
        self._lost_ranges.append((self._position, until))
        log.warning("%s: %s", self._where.name, self._lost[-1].reason)
        self._position = until
        if self._position < self._end:
            self._bulk.go_to(self._where, self._position)
            self._is_exact = True


LOST = "lost offsets "
"""How the reason of a lost range begins: a reject that was never a record."""


def lost_reason(start: int, end: int) -> str:
    """The reject's reason for offsets that were deleted before they were read."""
    count = end - start
    return f"{LOST}{start} to {end - 1}: deleted by the broker before they were read ({count} offsets)"


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else offset


def _is_of(message: Message, where: PartitionId) -> bool:
    return message.topic() == where.topic and message.partition() == where.partition


def sample_record_bytes(bulk: BulkConsumer, where: PartitionId, start: int, end: int) -> float | None:
    """Mean bytes of the values of the next few hundred records; None when none came in time."""
    bulk.go_to(where, start)
    sizes: list[int] = []
    deadline = time.monotonic() + _SAMPLE_SECONDS
    while not sizes and time.monotonic() < deadline:
        messages = bulk.consumer.consume(min(_BITE, end - start), timeout=_WAIT_SECONDS)
        sizes = [len(m.value() or b"") for m in messages if m.error() is None]
    return max(1.0, sum(sizes) / len(sizes)) if sizes else None
