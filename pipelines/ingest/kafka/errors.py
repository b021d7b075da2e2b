"""Errors of Kafka sources: what is worth a retry and what is not.

Here: the two classes and the translation of client errors. Not here: the retrying itself (the cycle's
business).
"""

from confluent_kafka import KafkaError as BulkError
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from pipelines.errors import ScarecrowError

# librdkafka's codes that no waiting cures.
_REFUSED = frozenset(
    {
        BulkError._AUTHENTICATION,
        BulkError._SSL,
        BulkError.SASL_AUTHENTICATION_FAILED,
        BulkError.TOPIC_AUTHORIZATION_FAILED,
        BulkError.GROUP_AUTHORIZATION_FAILED,
        BulkError.CLUSTER_AUTHORIZATION_FAILED,
    }
)


class KafkaUnavailable(ScarecrowError):
    """The broker does not answer, or not yet as it should: worth another try after a pause."""


class KafkaRefused(ScarecrowError):
    """The broker answered no (credentials, rights): another try changes nothing."""


class TopicMissing(KafkaUnavailable):
    """There is no such topic, or not yet, or not any more."""


class TopicChanged(ScarecrowError):
    """The topic was deleted and created anew since the slice was planned: plan again at once."""


def translated(error: KafkaError | OSError, doing: str, servers: str) -> ScarecrowError:
    """kafka-python's error as ours. doing: what was tried, as the end of "Kafka at ... could not"."""
    said = _plain(error)
    if isinstance(error, AuthorizationError | SaslAuthenticationFailedError | UnsupportedSaslMechanismError):
        return KafkaRefused(
            f"Kafka at {servers} refused to {doing} ({said}); check the SCARECROW_KAFKA_ settings and the"
            " user's rights."
        )
    return KafkaUnavailable(
        f"Kafka at {servers} could not {doing} ({said}); check that the broker is reachable."
    )


def is_refusal(error: BulkError) -> bool:
    """True for librdkafka's errors that no waiting cures."""
    return error.code() in _REFUSED


def translated_bulk(error: BulkError, doing: str, servers: str) -> ScarecrowError:
    """librdkafka's error as ours."""
    # What librdkafka was told, a failed TLS handshake for instance; it never quotes credentials.
    said = f"{error.name()}: {error.str()[:200]}"
    if is_refusal(error):
        return KafkaRefused(
            f"Kafka at {servers} refused to {doing} ({said}); check the SCARECROW_KAFKA_ settings and the"
            " user's rights."
        )
    if error.code() in (
        BulkError.UNKNOWN_TOPIC_OR_PART,
        BulkError._UNKNOWN_TOPIC,
        BulkError._UNKNOWN_PARTITION,
    ):
        return TopicMissing(f"Kafka at {servers} could not {doing} ({said}); was the topic deleted?")
    return KafkaUnavailable(
        f"Kafka at {servers} could not {doing} ({said}); check that the broker is reachable."
    )


def _plain(error: Exception) -> str:
    # kafka-python's messages may quote whole requests, and a request may hold a secret: the class says
    # enough.
    return type(error).__name__
