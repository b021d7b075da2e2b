"""Rejected records of a topic, read again by their offsets.

Here: whether the topic is still the one that was read, and its records as blocks. Not here: which records
(pipelines.ingest.replay).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import KafkaException, Message

from pipelines.ingest.kafka.address import parse_address, parse_app_id
from pipelines.ingest.kafka.admin import check_incarnation, shared_admin
from pipelines.ingest.kafka.consumers import lent_consumer
from pipelines.ingest.kafka.dead_letters import originals
from pipelines.ingest.kafka.errors import TopicMissing, translated_bulk
from pipelines.ingest.kafka.framing import block_of
from pipelines.ingest.kafka.reader import LOST, MAX_BYTES, MAX_RECORDS
from pipelines.ingest.kafka.settings import load_kafka_settings
from pipelines.ingest.replay import gone
from pipelines.ingest.source import Block, RawReject
from pipelines.lake.rejects import Reject


def place_of(app_id: str, uri: str, settings_file: Path | None) -> str | None:
    """`uri` if its topic is the very one of app_id, else None. Raises KafkaUnavailable and KafkaRefused."""
    where, address = parse_app_id(app_id), parse_address(uri)
    if where.topic != address.topic:
        return None
    admin = shared_admin(load_kafka_settings(file=settings_file), address.servers)
    try:
        return uri if admin.topic(address.topic).topic_id == where.topic_id else None
    except TopicMissing:
        return None


def read_originals(
    app_id: str, uri: str, rejects: Sequence[Reject], settings_file: Path | None
) -> Iterator[Block]:
    """The records of rejects (ascending by offset) as blocks; those that are gone as rejects.

    Raises TopicChanged when the topic was created anew meanwhile.
    """
    where, address = parse_app_id(app_id), parse_address(uri)
    settings = load_kafka_settings(file=settings_file)
    # The table names where a record ends, which for a topic is the next offset.
    reasons = {reject.offset - 1: reject.reason for reject in rejects}
    wanted = [offset for offset, reason in reasons.items() if not reason.startswith(LOST)]
    passed = [RawReject(at, reason, b"") for at, reason in reasons.items() if reason.startswith(LOST)]
    with lent_consumer(settings, address.servers) as bulk:
        try:
            yield from _blocks(originals(bulk, where, wanted, settings.stall_seconds), reasons, passed)
        except KafkaException as error:
            raise translated_bulk(error.args[0], f"read {where.name} again", address.servers) from error
    check_incarnation(shared_admin(settings, address.servers), where.topic, where.topic_id)


def _blocks(
    found: Iterator[tuple[int, Message | None]], reasons: dict[int, str], passed: list[RawReject]
) -> Iterator[Block]:
    values: list[bytes] = []
    offsets: list[int] = []
    size = 0
    for offset, message in found:
        value = None if message is None else message.value()
        if value is None:
            passed.append(RawReject(offset, gone(reasons[offset]), b""))
            continue
        values.append(value)
        offsets.append(offset)
        size += len(value)
        if len(values) >= MAX_RECORDS or size >= MAX_BYTES:
            yield block_of(values, np.array(offsets, dtype=np.int64))
            values, offsets, size = [], [], 0
    last = block_of(values, np.array(offsets, dtype=np.int64))
    last.rejects += passed
    yield last
