"""server.properties of one KRaft node: listeners, quorum, replication, and settings that suit a test.

Here: text in, text out. Not here: processes and ports (cluster.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.kafka.security import AUDIENCE, ISSUER, Security

CONTROLLER = "CONTROLLER"
PLAIN = "PLAINTEXT"
MUTUAL_TLS = "SSL"
SASL = "SASL_PLAINTEXT"
SASL_TLS = "SASL_SSL"
SECURED = (MUTUAL_TLS, SASL, SASL_TLS)
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


@dataclass(frozen=True)
class Node:
    """One broker that is a controller too. ports: by listener name; prefix: words before `java` (e.g. a
    namespace).
    """

    number: int
    host: str
    ports: Mapping[str, int]
    folder: Path
    prefix: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def pid_file(self) -> Path:
        """Where the running process is remembered."""
        return self.folder / "broker.pid"


def _secured(security: Security) -> dict[str, str]:
    """Listener settings of SSL, SASL_PLAINTEXT and SASL_SSL."""
    package = "org.apache.kafka.common.security"
    passwords = " ".join(f'user_{name}="{password}"' for name, password in security.users.items())
    made = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(security.folder / "server-store.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(security.ca),
        f"listener.name.{MUTUAL_TLS.lower()}.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": ",".join(_MECHANISMS),
    }
    for listener in (SASL.lower(), SASL_TLS.lower()):
        head = f"listener.name.{listener}"
        made[f"{head}.sasl.enabled.mechanisms"] = ",".join(_MECHANISMS)
        made[f"{head}.plain.sasl.jaas.config"] = f"{package}.plain.PlainLoginModule required {passwords};"
        for scram in ("scram-sha-256", "scram-sha-512"):
            made[f"{head}.{scram}.sasl.jaas.config"] = f"{package}.scram.ScramLoginModule required;"
        bearer = f"{head}.oauthbearer.sasl"
        made[f"{bearer}.jaas.config"] = f"{package}.oauthbearer.OAuthBearerLoginModule required;"
        made[f"{bearer}.server.callback.handler.class"] = (
            f"{package}.oauthbearer.OAuthBearerValidatorCallbackHandler"
        )
        made[f"{bearer}.oauthbearer.jwks.endpoint.url"] = security.issuer.jwks.as_uri()
        made[f"{bearer}.oauthbearer.expected.issuer"] = ISSUER
        made[f"{bearer}.oauthbearer.expected.audience"] = AUDIENCE
    return made


def server_properties(node: Node, nodes: Sequence[Node], security: Security | None) -> str:
    """The file's text for `node` in a quorum of `nodes`; internal topics are as small as a test wants."""
    copies = str(min(3, len(nodes)))
    enough = str(max(1, min(3, len(nodes)) - 1))
    public = [name for name in node.ports if name != CONTROLLER]
    made = {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{n.number}@{n.host}:{n.ports[CONTROLLER]}" for n in nodes),
        "controller.listener.names": CONTROLLER,
        "listeners": ",".join(f"{name}://{node.host}:{port}" for name, port in node.ports.items()),
        "advertised.listeners": ",".join(f"{name}://{node.host}:{node.ports[name]}" for name in public),
        "listener.security.protocol.map": ",".join(
            [f"{CONTROLLER}:PLAINTEXT", *(f"{n}:{n}" for n in public)]
        ),
        "inter.broker.listener.name": PLAIN,
        "log.dirs": str(node.folder / "log"),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": enough,
        "group.initial.rebalance.delay.ms": "0",
        # Retention and compaction show within a second instead of minutes.
        "log.initial.task.delay.ms": "500",
        "log.retention.check.interval.ms": "500",
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        "controlled.shutdown.enable": "true" if len(nodes) > 1 else "false",
        # A killed broker may come back only when its session has lapsed: 9 s unless told otherwise.
        "broker.session.timeout.ms": "2000" if len(nodes) == 1 else "5000",
        "broker.heartbeat.interval.ms": "400",
    }
    if security is not None:
        made |= _secured(security)
    made |= dict(node.extra)
    return "".join(f"{key}={value}\n" for key, value in made.items())
