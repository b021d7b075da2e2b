"""Replays a log into a Kafka topic: at full speed, at a rate, or at the log's own pace, with times moved on
request.

Here: pacing, moving times, keys, delivery. Not here: what is in a log (simulate makes one) and how files are
opened (pipelines.ingest.files). The key is the account, so an account's records stay in order in one
partition; a line that is no record is sent as it is, for it is part of the log.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.files import STDIN, FileSource
from pipelines.ingest.kafka.address import Address
from pipelines.ingest.kafka.clients import bulk_options
from pipelines.ingest.kafka.errors import translated_bulk
from pipelines.ingest.kafka.settings import KafkaSettings
from pipelines.ingest.streams import closing_streams

Shift = Literal["none", "start", "end", "sent"]

_TIMES = ("event_time", "account_created_at")
_PROGRESS_EVERY = 5000
# How far sending may run ahead of the pace: one sleep per millisecond is enough.
_AHEAD_SECONDS = 0.001


@dataclass(frozen=True)
class Replay:
    """How a log is replayed.

    rate: records per second; speed: factor of the log's own pace; neither: as fast as it goes. shift: "none"
    keeps times; "start" moves all by one amount so that the first record is now; "end" so that the newest is
    now; "sent" gives each record the time at which it is sent. account_created_at moves along. repeat: how
    often the whole log is sent. From the second time on event ids get a suffix, for a second record with the
    same id changes nothing.
    """

    rate: float | None = None
    speed: float | None = None
    shift: Shift = "none"
    repeat: int = 1

    def __post_init__(self) -> None:
        if self.rate is not None and self.speed is not None:
            raise UsageError("--rate and --speed exclude each other; give one of them.")
        for name, value in (("--rate", self.rate), ("--speed", self.speed)):
            if value is not None and not value > 0:
                raise UsageError(f"{name} {value:g} is not above 0; give a positive number.")
        if self.repeat < 1:
            raise UsageError(f"--repeat {self.repeat} is below 1; give at least 1.")


@dataclass
class Produced:
    """What was sent so far. unkeyed: lines without an account, sent without a key."""

    records: int = 0
    bytes: int = 0
    unkeyed: int = 0


def produce(
    files: str,
    address: Address,
    settings: KafkaSettings,
    replay: Replay,
    on_progress: Callable[[Produced], None] = lambda produced: None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Produced:
    """Sends the native records of `files` (path, glob, `.gz`, `.zst`, `-`) to the address's topic.

    Returns when the brokers have everything, or soon after `stopped()`. Raises UsageError for files that are
    not there, KafkaUnavailable or KafkaRefused when a record was not taken.
    """
    if files == STDIN and (replay.repeat > 1 or replay.shift == "end"):
        raise UsageError(
            "Standard input can be read once only; write it to a file for --repeat or --shift end."
        )
    sender = _Sender(address, settings)
    pace = _Pace(replay, clock, sleep)
    newest = _newest_ms(files) if replay.shift == "end" else None
    produced = Produced()
    for turn in range(replay.repeat):
        moves = _Moves(replay.shift, clock, newest)
        pace.restart()
        with closing(_lines(files)) as lines:
            for line in lines:
                if stopped():
                    sender.finish()
                    return produced
                account, line = _prepared(line, turn, moves, pace, produced.records)
                sender.send(account, line)
                produced.records += 1
                produced.bytes += len(line)
                produced.unkeyed += account is None
                if produced.records % _PROGRESS_EVERY == 0:
                    on_progress(produced)
    sender.finish()
    on_progress(produced)
    return produced


def _prepared(
    line: bytes, turn: int, moves: "_Moves", pace: "_Pace", number: int
) -> tuple[bytes | None, bytes]:
    """The key and the bytes to send, after waiting until it is their turn."""
    record: Any = None
    with suppress(orjson.JSONDecodeError):  # what is not JSON is sent as it is
        record = orjson.loads(line)
    if not isinstance(record, dict):
        pace.wait(number, None)
        return None, line
    at = epoch_ms(record.get("event_time"))
    pace.wait(number, at)
    is_changed = moves.apply(record, at)
    event_id = record.get("event_id")
    if turn and isinstance(event_id, str):
        record["event_id"] = f"{event_id}#{turn}"
        is_changed = True
    account = record.get("account_id")
    return account.encode() if isinstance(account, str) else None, orjson.dumps(
        record
    ) if is_changed else line


class _Moves:
    """Moves the times of records by an amount that the first record (or the newest, or each) decides."""

    def __init__(self, shift: Shift, clock: Callable[[], float], newest_ms: int | None) -> None:
        self._shift = shift
        self._clock = clock
        self._by = None if newest_ms is None else int(clock() * 1000) - newest_ms

    def apply(self, record: dict[str, Any], at: int | None) -> bool:
        """Changes the record in place; False when nothing is to be changed."""
        if self._shift == "none" or at is None:
            return False
        if self._shift == "sent" or self._by is None:
            self._by = int(self._clock() * 1000) - at
        for name in _TIMES:
            when = epoch_ms(record.get(name))
            if when is not None:
                record[name] = when + self._by
        return True


class _Pace:
    """Waits until a record's turn has come."""

    def __init__(self, replay: Replay, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._replay = replay
        self._clock = clock
        self._sleep = sleep
        self._began = clock()
        self._turn_began = self._began
        self._first_ms: int | None = None

    def restart(self) -> None:
        """The log begins again: its own pace is counted from here."""
        self._turn_began = self._clock()
        self._first_ms = None

    def wait(self, number: int, at: int | None) -> None:
        """number: records sent before; at: the record's time in epoch ms."""
        if self._replay.rate is not None:
            due = self._began + number / self._replay.rate
        elif self._replay.speed is not None and at is not None:
            if self._first_ms is None:
                self._first_ms = at
            due = self._turn_began + (at - self._first_ms) / 1000 / self._replay.speed
        else:
            return
        ahead = due - self._clock()
        if ahead > _AHEAD_SECONDS:
            self._sleep(ahead)


class _Sender:
    """librdkafka's producer: idempotent, waits when its queue is full, tells of every record that was not
    taken.
    """

    def __init__(self, address: Address, settings: KafkaSettings) -> None:
        self._address = address
        self._patience = settings.stall_seconds
        self._failed: KafkaError | None = None
        self._producer = Producer(
            bulk_options(settings, address.servers)
            | {
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "batch.size": 1 << 20,
                "queue.buffering.max.kbytes": 128 << 10,
                "message.timeout.ms": int(self._patience * 1000),
                "message.max.bytes": 64 << 20,
                # The partition that Java clients choose for the same key.
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
            }
        )

    def send(self, key: bytes | None, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._address.topic, value, key=key, on_delivery=self._told)
                break
            except BufferError:
                self._producer.poll(0.01)
                self._check()
            except KafkaException as error:
                self._failed = error.args[0]
                self._check()
        self._producer.poll(0)
        self._check()

    def finish(self) -> None:
        """Returns when everything is delivered."""
        left = self._producer.flush(self._patience)
        self._check()
        if left:
            raise ScarecrowError(
                f"Kafka at {self._address.servers} took {left} records of {self._address.topic} not within"
                f" {self._patience:g} s; check that the broker is reachable."
            )

    def _told(self, error: KafkaError | None, message: Message) -> None:
        self._failed = self._failed or error

    def _check(self) -> None:
        if self._failed is not None:
            raise translated_bulk(
                self._failed, f"take records into {self._address.topic}", self._address.servers
            )


def _lines(files: str) -> Generator[bytes]:
    # Nothing is ever committed by a replay, so the source never asks a lake.
    source = FileSource(files, Path())
    with closing_streams():
        for part in source.plan(lambda app_id: None, 1 << 62):
            for block in source.read(part):
                yield from block.records()


def _newest_ms(files: str) -> int | None:
    newest = None
    for line in _lines(files):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        at = epoch_ms(record.get("event_time")) if isinstance(record, dict) else None
        if at is not None and (newest is None or at > newest):
            newest = at
    return newest


def epoch_ms(value: object) -> int | None:
    """Epoch milliseconds of a time as the request record has it (a number, or RFC 3339); None for anything
    else.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            return None
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    return None
