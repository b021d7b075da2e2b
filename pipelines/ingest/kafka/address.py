"""`kafka://HOST:PORT[,HOST:PORT]/TOPIC` and the app_id of a partition.

Here: text to names and back. Not here: credentials, which are settings and never part of an address.
"""

import re
from dataclasses import dataclass

from pipelines.errors import UsageError

SCHEME = "kafka://"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_REMEDY = "write kafka://HOST:PORT/TOPIC"


@dataclass(frozen=True)
class Address:
    """Brokers to ask first ("host:port,host:port") and one topic."""

    servers: str
    topic: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.servers}/{self.topic}"


def is_kafka(uri: str) -> bool:
    """True for addresses that `parse_address` is for."""
    return uri.startswith(SCHEME)


def parse_address(uri: str) -> Address:
    """The parts of an address; a server without a port gets 9092.

    Raises UsageError, without repeating the text where it seems to hold a password.
    """
    rest = uri.removeprefix(SCHEME)
    if rest == uri:
        raise UsageError(f"{uri!r} is no Kafka address; {_REMEDY}.")
    if "@" in rest:
        raise UsageError(
            "A Kafka address holds no credentials; set SCARECROW_KAFKA_SASL_USERNAME and"
            f" SCARECROW_KAFKA_SASL_PASSWORD and {_REMEDY}."
        )
    servers, _, topic = rest.partition("/")
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise UsageError(f"{topic!r} in {uri!r} is no topic name; {_REMEDY}.")
    named = []
    for server in servers.split(","):
        found = _SERVER.fullmatch(server)
        if found is None or int(found[2] or 9092) > 65535:
            raise UsageError(f"{server!r} in {uri!r} is no server; {_REMEDY}.")
        named.append(f"{found[1]}:{found[2] or 9092}")
    return Address(",".join(named), topic)


@dataclass(frozen=True)
class PartitionId:
    """A partition of one incarnation of a topic. A topic deleted and created anew has another topic_id."""

    topic: str
    topic_id: str
    partition: int

    @property
    def app_id(self) -> str:
        """The Delta transaction's app_id."""
        return f"kafka:{self.topic}:{self.topic_id}:{self.partition}"

    @property
    def name(self) -> str:
        """`topic[partition]`, as people and error messages write it."""
        return f"{self.topic}[{self.partition}]"


def parse_app_id(app_id: str) -> PartitionId:
    """The inverse of PartitionId.app_id. Raises ValueError for anything else."""
    scheme, topic, topic_id, partition = app_id.split(":")
    if scheme != "kafka":
        raise ValueError(f"{app_id!r} is not the app_id of a Kafka partition")
    return PartitionId(topic, topic_id, int(partition))
