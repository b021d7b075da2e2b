"""API logs from Apache Kafka: a source of slices (source.py) and what it is made of.

Here: addresses, settings, clients, planning, bulk reading, framing, lag, group membership, dead letters,
replay into a topic. Not here: decoding of records, the lake, and the cycle that ties them; offsets in Kafka
are advice, progress is in the lake. kafka-python administers, looks up offsets by time, measures lag and
produces; librdkafka (confluent-kafka) reads in bulk.
"""

from pipelines.ingest.kafka.address import is_kafka
from pipelines.ingest.kafka.errors import KafkaRefused, KafkaUnavailable, TopicChanged, TopicMissing
from pipelines.ingest.kafka.settings import KafkaSettings, load_kafka_settings
from pipelines.ingest.kafka.source import KafkaSource

__all__ = [
    "KafkaRefused",
    "KafkaSettings",
    "KafkaSource",
    "KafkaUnavailable",
    "TopicChanged",
    "TopicMissing",
    "is_kafka",
    "load_kafka_settings",
]
