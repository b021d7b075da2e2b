"""Kafka's part of the settings, read anew in each process, so that no secret travels in a slice or a job.

Here: asking for it. Not here: its names and meanings (pipelines.kafka_settings) and where values come from
(pipelines.settings).
"""

from collections.abc import Mapping
from pathlib import Path

from pipelines.kafka_settings import KafkaSettings
from pipelines.settings import kafka_from, load_settings

__all__ = ["KafkaSettings", "load_kafka_settings"]


def load_kafka_settings(
    environment: Mapping[str, str] | None = None, file: Path | None = None
) -> KafkaSettings:
    """How to reach brokers: of the settings in force, or of nothing but the given environment.

    file: the settings file, instead of the one that is in force. Raises UsageError as `load_settings` does.
    """
    return load_settings(file).kafka if environment is None else kafka_from(environment)
