"""The producer process: numbered records in plain, committed and aborted batches until SIGTERM.

A ledger says of each batch what became of it: `sent` (by an idempotent plain producer), `committed`, `aborted`, or
`unknown` where the broker went away in between and nobody could tell. No number is ever drawn twice; with repeats,
some records are sent again as they were, as a client does that missed an acknowledgement.
"""

import json
import random
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tests.kafka.faults.dying import die_with_parent
from tests.kafka.faults.records import Number, key_of, value_of

_PATIENCE_SECONDS = 120.0
# (how, weight): half of it plain, a good part in transactions that come to nothing.
_KINDS = (("plain", 6), ("commit", 3), ("abort", 2))


@dataclass
class _Writer:
    """One process's producers. Every batch ends in the ledger."""

    servers: str
    topic: str
    partitions: int
    rng: random.Random
    ledger: Path
    repeats: float
    next_sequence: list[int] = field(default_factory=list)
    sent: list[tuple[int, Number]] = field(default_factory=list)
    transactional: Any = None
    plain: Any = None

    def draw(self, count: int) -> list[tuple[int, Number]]:
        """(partition to write to, number) for so many records."""
        drawn = []
        for _ in range(count):
            if self.sent and self.rng.random() < self.repeats:
                drawn.append((self.rng.randrange(self.partitions), self.rng.choice(self.sent)[1]))
                continue
            partition = self.rng.randrange(self.partitions)
            drawn.append((partition, (partition, self.next_sequence[partition])))
            self.next_sequence[partition] += 1
        return drawn

    def note(self, how: str, batch: Sequence[tuple[int, Number]]) -> None:
        """Writes down what became of a batch."""
        with self.ledger.open("a") as file:
            file.write(json.dumps([how, [number for _, number in batch]]) + "\n")

    def produce(self, producer: Any, batch: Sequence[tuple[int, Number]]) -> bool:
        """True when every record of the batch was acknowledged."""
        failures: list[KafkaError] = []

        def heard(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failures.append(error)

        for partition, number in batch:
            producer.produce(
                self.topic, value_of(number), key_of(number), partition=partition, on_delivery=heard
            )
            producer.poll(0)
        return producer.flush(_PATIENCE_SECONDS) == 0 and not failures

    def write_plain(self, batch: Sequence[tuple[int, Number]]) -> None:
        """Sends a batch by the idempotent producer."""
        if self.plain is None:
            self.plain = self.open({"enable.idempotence": True})
        if self.produce(self.plain, batch):
            self.sent += batch
            self.note("sent", batch)
        else:
            self.plain = None
            self.note("unknown", batch)

    def write_transaction(
        self, batch: Sequence[tuple[int, Number]], commits: bool, pause: threading.Event
    ) -> None:
        """Sends a batch in a transaction of its own; now and then one that stays open for a moment."""
        try:
            if self.transactional is None:
                self.transactional = self.open({"transactional.id": f"{self.topic}-writer"})
                self.transactional.init_transactions(_PATIENCE_SECONDS)
            self.transactional.begin_transaction()
        except KafkaException:
            self.transactional = None
            return
        try:
            arrived = self.produce(self.transactional, batch)
            if self.rng.random() < 0.3:
                pause.wait(self.rng.uniform(0, 0.3))
            if arrived and commits:
                _until_answered(self.transactional.commit_transaction)
                self.sent += batch
            else:
                _until_answered(self.transactional.abort_transaction)
        except KafkaException as error:
            ended = False
            if error.args[0].txn_requires_abort():
                try:
                    _until_answered(self.transactional.abort_transaction)
                    ended = True
                except KafkaException:
                    pass
            self.note("aborted" if ended else "unknown", batch)
            if not ended:
                self.transactional = None
            return
        self.note("committed" if arrived and commits else "aborted", batch)

    def open(self, options: dict[str, object]) -> Any:
        """A producer that outlasts a broker that is away for a while."""
        return Producer(
            {
                "bootstrap.servers": self.servers,
                "linger.ms": 1,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
            | {"delivery.timeout.ms": int(_PATIENCE_SECONDS * 1000), "acks": "all"}
            | options
        )


def _until_answered(question: Any) -> None:
    """Repeats a question that may be repeated until the broker answers."""
    while True:
        try:
            question(_PATIENCE_SECONDS)
        except KafkaException as error:
            if error.args[0].retriable() and not error.args[0].txn_requires_abort():
                continue
            raise
        return


def produce(
    servers: str, topic: str, partitions: int, seed: int, ledger: Path, repeats: float, pause: float
) -> None:
    """Writes batches, `pause` seconds apart on average, until SIGTERM; the target of a process."""
    die_with_parent()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    rng = random.Random(seed)
    writer = _Writer(servers, topic, partitions, rng, ledger, repeats, [0] * partitions)
    kinds, weights = zip(*_KINDS, strict=True)
    while not stop.is_set():
        batch = writer.draw(rng.randrange(1, 40))
        kind = rng.choices(kinds, weights)[0]
        if kind == "plain":
            writer.write_plain(batch)
        else:
            writer.write_transaction(batch, kind == "commit", stop)
        stop.wait(rng.uniform(0, 2 * pause))
    for producer in (writer.plain, writer.transactional):
        if producer is not None:
            producer.flush(_PATIENCE_SECONDS)


def read_ledger(ledger: Path) -> dict[str, list[Number]]:
    """The numbers of each outcome; repeats appear as often as they were sent."""
    found: dict[str, list[Number]] = {"sent": [], "committed": [], "aborted": [], "unknown": []}
    for line in ledger.read_text().splitlines():
        how, numbers = json.loads(line)
        found[how] += [(partition, sequence) for partition, sequence in numbers]
    return found
