"""The fault run: whatever is killed, doubled, paused, cut off or full, the lake holds each committed record once.

`make test` runs some 60 faults, `--soak` over 1,000; the counts by kind are printed at the end of the session. A
failure prints the seed, the faults in order and the difference. SCARECROW_FAULT_SEED begins another schedule.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.kafka.cluster import make_cluster
from pipelines.prompt_map.fit import FittedMap
from tests.kafka.broker import Broker
from tests.kafka.conftest import NOT_TRIED
from tests.kafka.faults.disk import NoDisk, SmallDisk, small_disk
from tests.kafka.faults.network import Namespaces, NoNamespaces, namespaces
from tests.kafka.faults.run import FaultRun, fault_run
from tests.kafka.faults.steps import STEPS, Arm

SEED = int(os.environ.get("SCARECROW_FAULT_SEED", "20261125"))

Phase = Callable[[FaultRun], None]
Play = Callable[..., int]


@pytest.fixture
def phases(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """Picks how often something happens: in `make test`, or in the long run."""
    is_long = bool(pytestconfig.getoption("--soak", default=False))
    return lambda short, long: long if is_long else short


@pytest.fixture
def play(
    tmp_path: Path,
    fitted: FittedMap,
    record_property: Callable[[str, object], None],
) -> Play:
    """Runs a phase on a topic and lake of its own and counts its faults for the summary (conftest.py); returns how
    many commits the lake refused.
    """

    def run(
        broker: Broker, name: str, phase: Phase, number: int, lake: Path | None = None, aged: bool = True
    ) -> int:
        folder = tmp_path / f"{name}-{number}"
        with fault_run(broker, folder, fitted, SEED + number, lake, aged=aged) as faults:
            try:
                phase(faults)
            finally:
                record_property("faults", dict(faults.hits))
        record_property("refused", faults.conflicts)
        return faults.conflicts

    return run


@pytest.mark.timeout(10_800)
def test_killed_at_every_step(broker: Broker, play: Play, phases: Callable[[int, int], int]) -> None:
    def phase(faults: FaultRun) -> None:
        arms = [
            Arm(step, moment, faults.rng.randrange(1, 3)) for step in STEPS for moment in ("before", "after")
        ]
        for armed in faults.rng.sample(arms, len(arms)):
            faults.kill_at(armed)

    for number in range(phases(1, 12)):
        play(broker, "steps", phase, number)


@pytest.mark.timeout(10_800)
def test_killed_at_random(broker: Broker, play: Play, phases: Callable[[int, int], int]) -> None:
    def phase(faults: FaultRun) -> None:
        for _ in range(phases(7, 25)):
            faults.kill_at_random()

    for number in range(phases(1, 10)):
        play(broker, "random", phase, number)


@pytest.mark.timeout(10_800)
def test_zombies_and_races(broker: Broker, play: Play, phases: Callable[[int, int], int]) -> None:
    def phase(faults: FaultRun) -> None:
        kinds = [faults.zombie] * phases(5, 12) + [faults.race] * phases(4, 8)
        for fault in faults.rng.sample(kinds, len(kinds)):
            fault()

    for number in range(phases(1, 10)):
        refused = play(broker, "doubled", phase, number)
        assert refused > 0, "nobody came too late, so nothing was put to the test"


@pytest.mark.timeout(10_800)
def test_compaction_is_killed(broker: Broker, play: Play, phases: Callable[[int, int], int]) -> None:
    def phase(faults: FaultRun) -> None:
        for _ in range(phases(3, 12)):
            faults.kill_compaction()

    for number in range(phases(1, 3)):
        play(broker, "compacted", phase, number)


@pytest.mark.timeout(10_800)
def test_a_full_disk(broker: Broker, play: Play, tmp_path: Path, phases: Callable[[int, int], int]) -> None:
    for number in range(phases(1, 8)):
        try:
            with small_disk(tmp_path / f"mount-{number}", 24) as disk:
                play(broker, "disk", _filling(disk, phases(4, 10)), number, disk.path / "lake")
        except NoDisk as error:
            pytest.skip(f"{NOT_TRIED}a full disk, for none can be mounted ({error})")


def _filling(disk: SmallDisk, times: int) -> Phase:
    def phase(faults: FaultRun) -> None:
        for _ in range(times):
            faults.full_disk(disk)

    return phase


@pytest.mark.timeout(10_800)
def test_the_broker_is_killed(broker: Broker, play: Play, phases: Callable[[int, int], int]) -> None:
    def phase(faults: FaultRun) -> None:
        for _ in range(phases(2, 10)):
            faults.kill_broker(broker.cluster.nodes[0], faults.rng.uniform(0, 3))

    try:
        for number in range(phases(1, 3)):
            play(broker, "broker", phase, number, aged=False)
    finally:
        broker.cluster.start()
        broker.reconnect()


@pytest.fixture
def network() -> Iterator[Namespaces]:
    """Three namespaces, or a skip that says why."""
    try:
        with namespaces(3) as made:
            yield made
    except NoNamespaces as error:
        pytest.skip(f"{NOT_TRIED}a node cut off, for there are no network namespaces ({error})")


@pytest.fixture
def three(broker: Broker, network: Namespaces, tmp_path: Path) -> Iterator[Broker]:
    """A node in each namespace (only where the session's broker could start)."""
    prefixes = [network.inside(place) for place in range(3)]
    cluster = make_cluster(tmp_path / "three", 3, hosts=network.hosts, prefixes=prefixes, heap_mib=256)
    try:
        cluster.start()
        running = Broker(cluster)
        yield running
        running.admin.close()
    finally:
        cluster.stop()


@pytest.mark.timeout(10_800)
def test_a_node_is_cut_off(
    three: Broker, network: Namespaces, play: Play, phases: Callable[[int, int], int]
) -> None:
    def phase(faults: FaultRun) -> None:
        for place in random.Random(faults.seed).sample([0, 1, 2] * 4, phases(2, 12)):
            faults.cut_off(network, place, faults.rng.uniform(2, 9))

    for number in range(phases(1, 3)):
        play(three, "cut", phase, number)
