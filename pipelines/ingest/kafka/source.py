"""A Kafka topic as a source of slices: planning, reading, acknowledging, status.

Here: the one class that the ingest cycle knows. Not here: how each step works (plan.py, reader.py, admin.py,
lag.py, membership.py). It carries no secret when it is pickled: settings are read from environment and
file in every process.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from confluent_kafka import KafkaException

from pipelines.errors import ScarecrowError
from pipelines.ingest.kafka.address import Address, PartitionId, parse_address, parse_app_id
from pipelines.ingest.kafka.admin import Topic, check_incarnation, shared_admin
from pipelines.ingest.kafka.consumers import lent_consumer
from pipelines.ingest.kafka.errors import translated_bulk
from pipelines.ingest.kafka.lag import unread_times
from pipelines.ingest.kafka.membership import GroupMembership
from pipelines.ingest.kafka.plan import Bounds, next_ranges
from pipelines.ingest.kafka.reader import read_range, sample_record_bytes
from pipelines.ingest.kafka.settings import KafkaSettings, load_kafka_settings
from pipelines.ingest.source import Block, Committed, PartitionStatus, Slice

log = logging.getLogger(__name__)

_ASSUMED_RECORD_BYTES = 1000.0
# Record sizes are measured anew every so many plans.
_SAMPLE_EVERY = 50


class KafkaSource:
    """One topic. since_ms, until_ms: epoch milliseconds of Kafka's own record times; [since, until) is read.
    settings: how to reach the brokers; without them, those in force (settings_file: in which file they are).

    `since` says where partitions start that the lake does not know yet; it never skips ahead of the lake.
    Brokers look offsets up by the first record that is not older, so with times out of order some older
    records are included.
    """

    def __init__(
        self,
        uri: str,
        since_ms: int | None = None,
        until_ms: int | None = None,
        settings: KafkaSettings | None = None,
        clock: Callable[[], float] = time.time,
        settings_file: Path | None = None,
    ) -> None:
        self.address: Address = parse_address(uri)
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._settings = load_kafka_settings(file=settings_file) if settings is None else settings
        self._settings_file = None if settings_file is None else settings_file.absolute()
        self._clock = clock
        self._topic: Topic | None = None
        self._membership: GroupMembership | None = None
        self._record_bytes = _ASSUMED_RECORD_BYTES
        self._plans = 0

    def __reduce__(self) -> tuple[object, tuple[str, int | None, int | None, Path | None]]:
        return (_opened_again, (str(self.address), self._since_ms, self._until_ms, self._settings_file))

    def join_group(self) -> None:
        """From now on `plan` gives only partitions that the consumer group assigns to this process."""
        if self._membership is None:
            self._membership = GroupMembership(self._settings, self.address.servers, self.address.topic)

    def close(self) -> None:
        """Leaves the group, if it was joined."""
        membership, self._membership = self._membership, None
        if membership is not None:
            membership.close()

    def plan(self, committed: Committed, max_bytes: int) -> list[Slice]:
        """The next slices, one for each partition with something new, about max_bytes together.

        Asks the broker for partitions each time, so new ones are found. Raises KafkaUnavailable (try again),
        its kind TopicMissing, and KafkaRefused.
        """
        topic = self._describe()
        numbers: tuple[int, ...] = topic.partitions
        if self._membership is not None:
            mine = self._membership.assigned(wait_seconds=self._settings.stall_seconds)
            numbers = tuple(p for p in numbers if p in mine)
        bounds = self._bounds(topic, numbers, committed)
        self._warn(topic, bounds)
        self._measure(topic, bounds)
        ranges = next_ranges(bounds, max(1, int(max_bytes / self._record_bytes)))
        return [self._slice(topic, number, start, end) for number, (start, end) in sorted(ranges.items())]

    def read(self, part: Slice) -> Iterator[Block]:
        """All committed records of a slice; positions are offsets. Deleted offsets become one reject "lost
        offsets ...".

        Raises TopicChanged when the topic is not the one that was planned: then nothing of the slice may be
        committed.
        """
        where = parse_app_id(part.app_id)
        servers = parse_address(part.uri).servers
        admin = shared_admin(self._settings, servers)
        with lent_consumer(self._settings, servers, (where, part.start)) as bulk:
            try:
                yield from read_range(bulk, where, part.start, part.end, self._settings.stall_seconds)
            except ScarecrowError:
                check_incarnation(admin, where.topic, where.topic_id)
                raise
            # Ids never come back: if it is still the same now, it was the same all the time.
            check_incarnation(admin, where.topic, where.topic_id)

    def reached(self, part: Slice) -> tuple[int, bool]:
        """The end of the slice, gaps included; something can always follow."""
        return part.end, False

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Commits the group's offsets, for lag dashboards. A failure is logged and changes nothing."""
        offsets = {}
        for app_id, position in positions.items():
            where = parse_app_id(app_id)
            if self._topic is not None and where.topic_id == self._topic.topic_id:
                offsets[where.partition] = position
        if not offsets:
            return
        try:
            if self._membership is not None:
                self._membership.commit(offsets)
            else:
                admin = shared_admin(self._settings, self.address.servers)
                admin.commit_group(self._settings.group, self.address.topic, offsets)
        except ScarecrowError as error:
            log.info("group offsets not advanced: %s", error)

    def status(self, committed: Committed) -> list[PartitionStatus]:
        """Where each partition stands. lag_records counts offsets (an upper bound of records); lag_seconds is
        the age of the oldest unread record, 0 when there is none, None when the broker did not tell in time.
        """
        topic = self._describe()
        bounds = self._bounds(topic, topic.partitions, committed)
        behind = {number: max(b.start, b.log_start) for number, b in bounds.items() if b.lag > 0}
        times = unread_times(self._settings, self.address.servers, topic.name, behind)
        now = self._clock()
        told = []
        for number, b in sorted(bounds.items()):
            where = PartitionId(topic.name, topic.topic_id, number)
            age = 0.0 if number not in behind else max(0.0, now - times[number]) if number in times else None
            told.append(
                PartitionStatus(where.app_id, where.name, b.committed, b.log_start, b.end, b.lag, age, b.lost)
            )
        return told

    def _describe(self) -> Topic:
        topic = shared_admin(self._settings, self.address.servers).topic(self.address.topic)
        before, self._topic = self._topic, topic
        if before is not None and before.topic_id != topic.topic_id:
            log.warning(
                "topic %s was deleted and created anew (id %s, now %s): it is read from its start",
                topic.name, before.topic_id, topic.topic_id,
            )  # fmt: skip
        if topic.leaderless and (before is None or before.leaderless != topic.leaderless):
            log.warning("topic %s: partitions %s have no leader and wait", topic.name, list(topic.leaderless))
        if (
            before is not None
            and before.topic_id == topic.topic_id
            and len(topic.partitions) > len(before.partitions)
        ):
            log.info(
                "topic %s has %d partitions now, %d before",
                topic.name,
                len(topic.partitions),
                len(before.partitions),
            )
        return topic

    def _bounds(self, topic: Topic, numbers: tuple[int, ...], committed: Committed) -> dict[int, Bounds]:
        admin = shared_admin(self._settings, self.address.servers)
        logs = admin.log_bounds(topic.name, numbers)
        known = {p: committed(PartitionId(topic.name, topic.topic_id, p).app_id) for p in numbers}
        first = {p: start for p, (start, _) in logs.items()}
        if self._since_ms is not None:
            new = [p for p in numbers if known[p] is None]
            first |= admin.offsets_at(topic.name, new, self._since_ms)
        ends = {p: end for p, (_, end) in logs.items()}
        if self._until_ms is not None:
            until = admin.offsets_at(topic.name, numbers, self._until_ms)
            ends = {p: min(end, until[p]) for p, end in ends.items()}
        return {p: Bounds(logs[p][0], ends[p], known[p], first[p]) for p in numbers}

    def _warn(self, topic: Topic, bounds: Mapping[int, Bounds]) -> None:
        for number, b in bounds.items():
            name = PartitionId(topic.name, topic.topic_id, number).name
            for start, end in b.lost:
                log.warning(
                    "%s: offsets %d to %d are no longer in the log (%d)",
                    name,
                    start,
                    end - 1,
                    end - start,
                )
            if self._until_ms is None and b.committed is not None and b.committed > b.end:
                log.error(
                    "%s ends at %d, before %d that the lake holds: the broker lost acknowledged records",
                    name, b.end, b.committed,
                )  # fmt: skip

    def _measure(self, topic: Topic, bounds: Mapping[int, Bounds]) -> None:
        """Estimates bytes per record from the next records of the fullest partition, now and then."""
        fullest = max(bounds, key=lambda number: bounds[number].lag, default=None)
        if fullest is None or bounds[fullest].lag == 0:
            return
        if self._plans % _SAMPLE_EVERY == 0:
            b = bounds[fullest]
            where = PartitionId(topic.name, topic.topic_id, fullest)
            with lent_consumer(self._settings, self.address.servers) as bulk:
                try:
                    mean = sample_record_bytes(bulk, where, max(b.start, b.log_start), b.end)
                except KafkaException as error:
                    raise translated_bulk(
                        error.args[0], f"read {where.name}", self.address.servers
                    ) from error
            self._record_bytes = mean or self._record_bytes
        self._plans += 1

    def _slice(self, topic: Topic, number: int, start: int, end: int) -> Slice:
        where = PartitionId(topic.name, topic.topic_id, number)
        return Slice(str(self.address), where.app_id, start, end, f"{where.name}@")


def _opened_again(
    uri: str, since_ms: int | None, until_ms: int | None, settings_file: Path | None
) -> KafkaSource:
    return KafkaSource(uri, since_ms, until_ms, settings_file=settings_file)
