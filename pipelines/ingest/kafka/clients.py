"""Client options made of settings, for both libraries: the one place where secrets are revealed.

Here: dictionaries of options and the tuning of bulk reading. Not here: connections and what is done over
them.
"""

import functools
import logging
from typing import Any

from pydantic import SecretStr

from pipelines.ingest.kafka.settings import KafkaSettings
from pipelines.ingest.kafka.tokens import TokenSource

# kafka-python logs its whole configuration and every byte of a SASL exchange at DEBUG, passwords among them,
# and each attempt of an outage at ERROR. Our errors say what a person needs; whoever wants its log can set
# the level.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """librdkafka's own log, at most INFO: it repeats every failed connection; our errors say it once."""

    def log(self, level: int, msg: object, *args: object, **_options: object) -> None:
        """Passes a line on."""
        self.logger.log(min(level, logging.INFO), msg, *args)


librdkafka_log = _Quiet(logging.getLogger("pipelines.ingest.kafka.librdkafka"), {})


@functools.lru_cache(maxsize=4)
def _tokens(settings: KafkaSettings) -> TokenSource:
    return TokenSource(settings)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _set(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def python_options(settings: KafkaSettings, servers: str) -> dict[str, Any]:
    """Options of kafka-python's clients. Holds secrets: never log it."""
    bearer = settings.sasl_mechanism == "OAUTHBEARER"
    return _set(
        {
            "bootstrap_servers": servers.split(","),
            "client_id": "scarecrow",
            "request_timeout_ms": int(settings.stall_seconds * 1000),
            "security_protocol": settings.security_protocol,
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": _revealed(settings.sasl_password),
            "sasl_oauth_token_provider": _tokens(settings) if bearer else None,
            "ssl_cafile": _text(settings.tls_ca_file),
            "ssl_certfile": _text(settings.tls_certificate_file),
            "ssl_keyfile": _text(settings.tls_key_file),
            "ssl_password": _revealed(settings.tls_key_password),
            "ssl_check_hostname": settings.tls_check_hostname,
        }
    )


def bulk_options(settings: KafkaSettings, servers: str) -> dict[str, Any]:
    """Options common to librdkafka's consumers and producers. Holds secrets: never log it."""
    bearer = settings.sasl_mechanism == "OAUTHBEARER"
    return _set(
        {
            "bootstrap.servers": servers,
            "client.id": "scarecrow",
            "security.protocol": settings.security_protocol,
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": _revealed(settings.sasl_password),
            "oauth_cb": _tokens(settings).for_librdkafka if bearer else None,
            "ssl.ca.location": _text(settings.tls_ca_file),
            "ssl.certificate.location": _text(settings.tls_certificate_file),
            "ssl.key.location": _text(settings.tls_key_file),
            "ssl.key.password": _revealed(settings.tls_key_password),
            "ssl.endpoint.identification.algorithm": "https" if settings.tls_check_hostname else "none",
            # A broker that comes back is used within half a second instead of up to ten.
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "logger": librdkafka_log,
        }
    )


def consumer_options(settings: KafkaSettings, servers: str) -> dict[str, Any]:
    """Options of the bulk reader: committed records only, nothing committed by itself, bounded queues."""
    return bulk_options(settings, servers) | {
        "group.id": settings.group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # An offset that is gone must be seen as a lost range, not jumped over.
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
        # A consumer that is idle between slices is not a dead one.
        "max.poll.interval.ms": 86_400_000,
        "fetch.wait.max.ms": 50,
        "fetch.message.max.bytes": 4_000_000,
        "fetch.error.backoff.ms": 100,
        # How long fetching pauses when the queue is full: the default of a second leaves the reader starving.
        "fetch.queue.backoff.ms": 5,
        # Read ahead, at most 16 MB beyond what the process has taken: what lies behind a range may be for
        # nothing.
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": 16_384,
    }
