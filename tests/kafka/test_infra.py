"""Starting and ending brokers: only what was started is ended, twice is once, and errors are sentences."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka.cluster import Cluster, free_ports, load_cluster, make_cluster
from infra.kafka.jars import broker_jars
from infra.kafka.processes import remember, running, send, start_time, wait_ended
from pipelines.errors import ScarecrowError
from tests.kafka.broker import Broker, Lake
from tests.kafka.test_reading import values

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_a_remembered_process_is_ended(sleeper: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    file = tmp_path / "pid"
    remember(file, sleeper.pid)
    assert running(file) == sleeper.pid
    assert send(file, signal.SIGTERM)
    assert wait_ended(file, 60)  # at once, but on a loaded machine it may take seconds until its turn comes
    assert sleeper.wait() == -signal.SIGTERM
    assert not send(file, signal.SIGTERM)


def test_a_process_that_took_over_the_pid_is_left_alone(
    sleeper: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    file.write_text(json.dumps({"pid": sleeper.pid, "start_time": "1"}))
    assert running(file) is None
    assert not send(file, signal.SIGKILL)
    assert sleeper.poll() is None


def test_there_is_no_start_time_without_a_process(tmp_path: Path) -> None:
    assert start_time(os.getpid()) is not None
    assert start_time(2**22 + 5) is None
    assert running(tmp_path / "nothing") is None


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_layout_is_read_back(tmp_path: Path) -> None:
    made = make_cluster(tmp_path, nodes=3, ports=[1001, 1002, 1003], settings={"log.retention.ms": "5"})
    found = load_cluster(tmp_path)
    assert found is not None
    assert found.bootstrap() == "127.0.0.1:1001,127.0.0.1:1002,127.0.0.1:1003"
    assert (found.cluster_id, [dict(n.ports) for n in found.nodes]) == (
        made.cluster_id,
        [dict(n.ports) for n in made.nodes],
    )
    assert load_cluster(tmp_path / "elsewhere") is None
    with pytest.raises(ScarecrowError, match="3 nodes need 3 ports"):
        make_cluster(tmp_path, nodes=3, ports=[1])


def test_without_maven_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScarecrowError, match="`mvn` is not on PATH; install"):
        broker_jars(cache=tmp_path)


def command(module: str, *words: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | ({"PATH": path} if path is not None else {})
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_without_java_a_sentence(tmp_path: Path) -> None:
    done = command("infra.kafka.up", "--data", str(tmp_path / "k"), path=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "`java` is not on PATH; install a JDK of version 17 or later.\n"


def test_up_twice_is_once_and_down_ends_it(broker: Broker, tmp_path: Path) -> None:
    folder = str(tmp_path / "k")
    first = command("infra.kafka.up", "--data", folder)
    try:
        assert first.returncode == 0, first.stderr
        cluster = load_cluster(tmp_path / "k")
        assert cluster is not None
        assert first.stdout.strip() == cluster.bootstrap()
        pid = running(cluster.nodes[0].pid_file)
        again = command("infra.kafka.up", "--data", folder)
        assert again.stdout == first.stdout
        assert running(cluster.nodes[0].pid_file) == pid
        other = command("infra.kafka.up", "--data", folder, "--nodes", "3")
        assert other.returncode == 1
        assert "already holds a cluster of 1 node(s), not 3" in other.stderr
    finally:
        down = command("infra.kafka.down", "--data", folder, "--delete")
    assert "1 of 1 broker(s) were running" in down.stderr
    assert not (tmp_path / "k").exists()
    assert broker.cluster.is_running(), "another cluster is none of its business"
    assert "nothing to end" in command("infra.kafka.down", "--data", folder).stderr


@pytest.fixture
def three(broker: Broker, tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes (only where the session's broker could start)."""
    cluster = make_cluster(tmp_path / "three", nodes=3, heap_mib=256)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_three_nodes_survive_the_kill_of_one(three: Cluster) -> None:
    broker = Broker(three)
    topic = broker.topic(partitions=3)
    for partition in range(3):
        broker.send(topic, values(50, f"a{partition}"), partition, acks="all")
    lake = Lake()
    source = broker.source(topic, settings=broker.settings(stall_seconds=30.0))
    lake.cycle(source, max_bytes=2000)
    three.kill_node(three.nodes[1])
    for partition in range(3):
        broker.send(topic, values(50, f"b{partition}"), partition, acks="all")
    lake.drain(source)
    broker.admin.close()
    wanted = [v for tag in "ab" for p in range(3) for v in values(50, f"{tag}{p}")]
    assert sorted(lake.values()) == sorted(wanted)
