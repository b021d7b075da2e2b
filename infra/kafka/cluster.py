"""A cluster of one or three Apache Kafka nodes in one data folder: made, started, killed, restarted, ended.

Here: ports, processes and readiness. Not here: what is in server.properties (properties.py), jars (jars.py),
records. Every process is remembered with its start time, so ending a cluster never touches a process that it
did not start.
"""

import json
import os
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from kafka.errors import KafkaError

from infra.kafka.jars import broker_jars, required_tool
from infra.kafka.processes import remember, running, send, wait_ended
from infra.kafka.properties import CONTROLLER, PLAIN, SECURED, Node, server_properties
from infra.kafka.security import Security, make_security, random_password
from pipelines.errors import ScarecrowError
from pipelines.ingest.kafka.admin import open_admin

LOOPBACK = "127.0.0.1"
_STATE = "cluster.json"
# One compiler tier and the serial collector: half the start-up time, and a test broker never lives to need
# more.
_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
_READY_SECONDS = 90.0


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """So many different TCP ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return [int(one.getsockname()[1]) for one in sockets]


@dataclass(frozen=True)
class Cluster:
    """Nodes that form one cluster, running or not. All state is in `folder`: any later process can end it."""

    folder: Path
    cluster_id: str
    nodes: tuple[Node, ...]
    security: Security | None
    heap_mib: int

    def bootstrap(self, listener: str = PLAIN) -> str:
        """The bootstrap addresses of a listener."""
        return ",".join(f"{node.host}:{node.ports[listener]}" for node in self.nodes)

    def start_node(self, node: Node) -> None:
        """Formats the node's storage if it is new and starts its process; returns before it is ready."""
        if running(node.pid_file) is not None:
            return
        node.folder.mkdir(parents=True, exist_ok=True)
        properties = node.folder / "server.properties"
        properties.touch(mode=0o600)
        properties.write_text(server_properties(node, self.nodes, self.security))
        java = [required_tool("java", "install a JDK of version 17 or later"), "-cp", f"{broker_jars()}/*"]
        if not (node.folder / "log" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(properties)]
            done = subprocess.run([*java, *_JVM, *tool], capture_output=True, text=True)
            if done.returncode != 0:
                raise ScarecrowError(
                    f"Kafka could not format {node.folder}: {(done.stdout + done.stderr).strip()[-500:]}"
                )
        options = [f"-Xmx{self.heap_mib}m"]
        if self.security is not None:
            options.append(
                f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.security.issuer.jwks.as_uri()}"
            )
        with (node.folder / "broker.log").open("ab") as log:
            # A session of its own: a Ctrl-C at the terminal that started it is not meant for the broker.
            started = subprocess.Popen(
                [*node.prefix, *java, *_JVM, *options, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        remember(node.pid_file, started.pid)
        _children[node.pid_file] = started

    def kill_node(self, node: Node) -> None:
        """SIGKILL: what a crash looks like. Waits until the process is gone."""
        send(node.pid_file, signal.SIGKILL)
        _gone(node, 10.0)

    def start(self, seconds: float = _READY_SECONDS) -> None:
        """Starts every node that does not run and waits until the cluster serves."""
        for node in self.nodes:
            self.start_node(node)
        self.wait_ready(seconds)
        if self.security is not None:
            _store_scram_users(self.bootstrap(), self.security.users)

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Returns when all nodes are in the cluster's metadata; ScarecrowError with the broker's last words
        otherwise.
        """
        deadline = time.monotonic() + seconds
        while True:
            for node in self.nodes:
                if running(node.pid_file) is None:
                    raise ScarecrowError(f"Kafka node {node.number} ended at once: {_last_words(node)}")
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise ScarecrowError(
                    f"Kafka was not ready after {seconds:.0f} s: {_last_words(self.nodes[0])}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            for node in self.nodes:
                socket.create_connection((node.host, node.ports[PLAIN]), timeout=1.0).close()
            admin = open_admin(
                bootstrap_servers=self.bootstrap(), bootstrap_timeout_ms=2000, request_timeout_ms=4000
            )
        except (OSError, KafkaError):
            return False
        try:
            return len(admin.describe_cluster()["brokers"]) == len(self.nodes)
        except (OSError, KafkaError):
            return False
        finally:
            admin.close()

    def is_running(self) -> bool:
        """True while any node's process runs."""
        return any(running(node.pid_file) is not None for node in self.nodes)

    def stop(self, seconds: float = 15.0) -> int:
        """Ends every node of this cluster: SIGTERM, then SIGKILL. Returns how many were running."""
        ended = sum(send(node.pid_file, signal.SIGTERM) for node in self.nodes)
        deadline = time.monotonic() + seconds
        for node in self.nodes:
            if not _gone(node, max(0.0, deadline - time.monotonic())):
                self.kill_node(node)
            node.pid_file.unlink(missing_ok=True)
        return ended


# Started by this process: they must be reaped, or they stay zombies.
_children: dict[Path, "subprocess.Popen[bytes]"] = {}


def _gone(node: Node, seconds: float) -> bool:
    child = _children.get(node.pid_file)
    if child is None:
        return wait_ended(node.pid_file, seconds)
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    del _children[node.pid_file]
    return True


def _last_words(node: Node) -> str:
    try:
        lines = (node.folder / "broker.log").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "no log"
    said = [line for line in lines if "ERROR" in line or "Exception" in line] or lines
    return (said[-1] if said else "the log is empty") + f" (all of it: {node.folder / 'broker.log'})"


def make_cluster(
    folder: Path,
    nodes: int = 1,
    ports: Sequence[int] | None = None,
    hosts: Sequence[str] | None = None,
    prefixes: Sequence[Sequence[str]] | None = None,
    secured: bool = False,
    users: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    heap_mib: int = 512,
) -> Cluster:
    """Lays out a new cluster in `folder`; nothing runs yet.

    ports: the client port of each node's plain listener, free ones if not given. hosts, prefixes: for nodes
    in network namespaces, their addresses and the words before `java`. secured: also open SSL, SASL_PLAINTEXT
    and SASL_SSL. settings: more lines of server.properties.
    """
    if ports is not None and len(ports) != nodes:
        raise ScarecrowError(f"{nodes} nodes need {nodes} ports, not {len(ports)}; give one for each.")
    listeners = [PLAIN, CONTROLLER, *(SECURED if secured else ())]
    free = iter(free_ports(nodes * len(listeners)))
    laid_out = []
    for i in range(nodes):
        mine = {name: next(free) for name in listeners}
        if ports is not None:
            mine[PLAIN] = ports[i]
        laid_out.append(
            Node(
                number=i + 1,
                host=hosts[i] if hosts is not None else LOOPBACK,
                ports=mine,
                folder=folder / f"node-{i + 1}",
                prefix=tuple(prefixes[i]) if prefixes is not None else (),
                extra=dict(settings or {}),
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    security = (
        make_security(folder / "security", users or {"scarecrow": random_password()}) if secured else None
    )
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # A leading dash would read as an option of the format tool.
    made = Cluster(folder, cluster_id.replace("-", "A", 1) if cluster_id[0] == "-" else cluster_id,
                   tuple(laid_out), security, heap_mib)  # fmt: skip
    _save(made)
    return made


def _save(cluster: Cluster) -> None:
    noted = {
        "cluster_id": cluster.cluster_id,
        "heap_mib": cluster.heap_mib,
        "users": dict(cluster.security.users) if cluster.security is not None else None,
        "nodes": [
            {
                "number": n.number,
                "host": n.host,
                "ports": dict(n.ports),
                "prefix": list(n.prefix),
                "extra": dict(n.extra),
            }
            for n in cluster.nodes
        ],
    }
    state = cluster.folder / _STATE
    beside = state.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(noted, indent=1))
    os.replace(beside, state)


def load_cluster(folder: Path) -> Cluster | None:
    """The cluster that was laid out in `folder`; None if there is none."""
    try:
        noted = json.loads((folder / _STATE).read_text())
    except FileNotFoundError:
        return None
    nodes = tuple(
        Node(
            n["number"], n["host"], n["ports"], folder / f"node-{n['number']}", tuple(n["prefix"]), n["extra"]
        )
        for n in noted["nodes"]
    )
    security = make_security(folder / "security", noted["users"]) if noted["users"] is not None else None
    return Cluster(folder, noted["cluster_id"], nodes, security, noted["heap_mib"])


def _store_scram_users(bootstrap: str, users: Mapping[str, str]) -> None:
    """Stores the users' SCRAM credentials in the running cluster (PLAIN users are in its properties)."""
    admin = open_admin(bootstrap_servers=bootstrap)
    try:
        # One request per mechanism: the broker refuses a user that is named twice in one.
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            answers = admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, mechanism, password) for name, password in users.items()]
            )
            for name, message in answers.items():
                if message is not None:
                    raise ScarecrowError(
                        f"Kafka refused the SCRAM user {name}: {message}; check the user's name."
                    )
    finally:
        admin.close()
