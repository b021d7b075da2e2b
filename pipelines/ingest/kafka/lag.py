"""How old the oldest unread record of each partition is.

Here: one look at the first committed record at or after an offset, by librdkafka, which decompresses whatever
producers chose (kafka-python needs a further package for each codec). Not here: lag in offsets, which
bounds alone tell (plan.py).
"""

import time
from collections.abc import Mapping

from confluent_kafka import KafkaException, TopicPartition

from pipelines.ingest.kafka.consumers import lent_consumer
from pipelines.ingest.kafka.errors import translated_bulk
from pipelines.ingest.kafka.settings import KafkaSettings

_WAIT_SECONDS = 0.1


def unread_times(
    settings: KafkaSettings, servers: str, topic: str, offsets: Mapping[int, int], seconds: float = 5.0
) -> dict[int, float]:
    """Per partition: Kafka's time (epoch seconds) of the first committed record at or after its offset.

    Partitions whose rest is only gaps, and those that do not answer within `seconds`, are left out.
    """
    waiting = set(offsets)
    found: dict[int, float] = {}
    paused: list[TopicPartition] = []
    if not waiting:
        return found
    with lent_consumer(settings, servers) as bulk:
        try:
            bulk.consumer.assign([TopicPartition(topic, p, offset) for p, offset in offsets.items()])
            deadline = time.monotonic() + seconds
            while waiting and time.monotonic() < deadline:
                for message in bulk.consumer.consume(1, timeout=_WAIT_SECONDS):
                    partition = message.partition()
                    if message.topic() != topic or partition not in waiting:
                        continue
                    # The end of the log, or an offset that is gone, ends the waiting without a time.
                    waiting.discard(partition)
                    told = TopicPartition(topic, partition)
                    bulk.consumer.pause([told])
                    paused.append(told)
                    if message.error() is None:
                        found[partition] = message.timestamp()[1] / 1000
            if paused:
                # A pause outlives the assignment, and the consumer is lent again.
                bulk.consumer.resume(paused)
        except KafkaException as error:
            raise translated_bulk(
                error.args[0], f"tell the age of unread records of {topic}", servers
            ) from error
    return found
