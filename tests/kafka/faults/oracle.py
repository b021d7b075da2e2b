"""The oracle: what the lake holds is what the brokers committed, each record once, at any moment.

Truth is the topic itself, read from its start by a plain read-committed consumer, and held against the producer's
ledger. A lake stands somewhere in the log; up to there it must hold everything, and nothing from beyond.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from pipelines.lake.notes import read_note
from pipelines.lake.tables import Lake
from schemas.account_hour import REJECTS
from tests.kafka.faults.records import Number, counted, is_broken, number_of, rejected

_SHOWN = 12


@dataclass(frozen=True)
class Seen:
    """A committed record of the topic."""

    partition: int
    offset: int
    number: Number


@dataclass(frozen=True)
class Log:
    """All committed records of a topic, and each partition's end (its last stable offset)."""

    topic: str
    topic_id: str
    records: tuple[Seen, ...]
    ends: Mapping[int, int]

    def app_id(self, partition: int) -> str:
        """The partition's name in the lake."""
        return f"kafka:{self.topic}:{self.topic_id}:{partition}"


def read_log(servers: str, topic: str, topic_id: str, partitions: int) -> Log:
    """The whole topic up to now."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "oracle",
            "isolation.level": "read_committed",
            "log_level": 0,
        }
        | {"enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    )
    records: list[Seen] = []
    ends: dict[int, int] = {}
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        while len(ends) < partitions:
            for message in consumer.consume(500, timeout=0.2):
                error = message.error()
                partition, offset = message.partition(), message.offset()
                if partition in ends:
                    continue  # written since
                if error is None:
                    records.append(Seen(partition, offset, number_of(message.key())))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ends[partition] = offset
                elif not error.retriable():
                    raise AssertionError(f"the oracle cannot read {topic}[{partition}]: {error}")
    finally:
        consumer.close()
    return Log(topic, topic_id, tuple(records), ends)


def check_ledger(log: Log, said: Mapping[str, Sequence[Number]], is_over: bool) -> None:
    """The brokers hold what they acknowledged and show nothing that was aborted.

    said: the ledger as it was before the log was read. is_over: the producer has ended.
    """
    visible = Counter(seen.number for seen in log.records)
    kept = Counter([*said["sent"], *said["committed"]])
    lost = kept - visible
    assert not lost, f"Kafka lost acknowledged records: {_some(lost)}"
    shown = {number for number in said["aborted"] if number in visible} - set(kept) - set(said["unknown"])
    assert not shown, f"Kafka shows aborted records: {_some(shown)}"
    if is_over:
        invented = visible - kept - Counter(said["unknown"])
        assert not invented, f"Kafka holds records that nobody sent: {_some(invented)}"


@dataclass(frozen=True)
class Holding:
    """What a lake holds at one moment. stands, refused_to: position of each partition in the two tables."""

    stands: Mapping[int, int]
    refused_to: Mapping[int, int]
    counted: Counter[Number]
    rejected: Counter[str]


def look(lake: Lake, app_ids: Mapping[int, str]) -> Holding:
    """One look at both tables; take it before the log is read, so that the log is never behind."""
    hours, refused = lake.hours(), lake.table(REJECTS)
    return Holding(
        {p: int(hours.transaction_version(app_id) or 0) for p, app_id in app_ids.items()},
        {p: int(refused.transaction_version(app_id) or 0) for p, app_id in app_ids.items()},
        counted(hours),
        rejected(refused),
    )


def check_lake(lake: Lake, held: Holding, log: Log, repeats: bool) -> None:
    """Raises AssertionError with the difference.

    repeats: the lake leaves out records whose number it has already.
    """
    read = [seen for seen in log.records if seen.offset < held.stands[seen.partition]]
    good = Counter(seen.number for seen in read if not is_broken(seen.number))
    wanted = Counter(set(good)) if repeats else good
    if held.counted != wanted:
        sent = [seen.number for seen in log.records]
        raise AssertionError(
            f"the lake is wrong at {dict(held.stands)}: {_difference(held.counted, wanted, sent)}"
        )
    broken = Counter(
        f"{log.topic}[{seen.partition}]@{seen.offset}"
        for seen in log.records
        if is_broken(seen.number) and seen.offset < held.refused_to[seen.partition]
    )
    if held.rejected != broken:
        raise AssertionError(
            f"the rejects are wrong at {dict(held.refused_to)}: {_difference(held.rejected, broken, [])}"
        )
    _check_notes(lake, log, held)


def _check_notes(lake: Lake, log: Log, held: Holding) -> None:
    """Totals of each partition, as `scarecrow lag` shows them."""
    total = 0
    rows = sum(held.counted.values())
    for partition, position in held.stands.items():
        if position == 0:
            continue
        note = read_note(lake.path, log.app_id(partition), position)
        assert note is not None, f"no note at {log.topic}[{partition}]@{position}"
        mine = [seen for seen in log.records if seen.partition == partition and seen.offset < position]
        broken = sum(is_broken(seen.number) for seen in mine)
        told = (note.records, note.rows + note.duplicates, note.rejects)
        assert told == (len(mine), len(mine) - broken, broken), (
            f"the note of {log.topic}[{partition}]@{position} tells {told} records, rows and duplicates, rejects;"
            f" the log has {(len(mine), len(mine) - broken, broken)}"
        )
        total += note.rows
    assert total == rows, f"the notes tell {total} rows, the lake has {rows}"


def _difference(found: Counter[Any], wanted: Counter[Any], sent: Iterable[Number]) -> str:
    lost, more = wanted - found, found - wanted
    beyond = {key for key in more if key not in wanted}
    known = set(sent)
    never = {key for key in beyond if known and key not in known}
    return (
        f"{sum(wanted.values())} wanted, {sum(found.values())} found; {sum(lost.values())} lost ({_some(lost)}),"
        f" {sum(more.values())} too many ({_some(more)}), of them {len(beyond)} not yet or never committed"
        f" ({_some(never)} in no committed record)"
    )


def _some(keys: Iterable[object]) -> str:
    listed = sorted(keys, key=str)
    return ", ".join(map(str, listed[:_SHOWN])) + (" ..." if len(listed) > _SHOWN else "") or "none"
