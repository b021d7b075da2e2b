"""One topic, one lake, one producer, and faults one after the other; the oracle looks after each of them.

Here: what each kind of fault does. A fault counts when it has hit: the process was at work when it was killed, the
disk was full when it was needed, the sleeper slept between plan and commit. Not here: how often (test_faults.py).
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.kafka.properties import Node
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.lakes import new_lake
from tests.kafka.broker import Broker, eventually
from tests.kafka.faults.disk import SmallDisk
from tests.kafka.faults.ingests import HASH_KEY, PATIENCE_SECONDS, Command, start_command, start_producer
from tests.kafka.faults.network import Namespaces
from tests.kafka.faults.oracle import check_lake, check_ledger, look, read_log
from tests.kafka.faults.producer import read_ledger
from tests.kafka.faults.steps import BEFORE_COMMIT, OF_COMPACTION, Arm

_ATTEMPTS = 30
_FOLLOWED_SHARE = 0.4


@dataclass
class FaultRun:
    """Faults on one lake. seed: of the schedule; hits: faults by kind; conflicts: times the lake refused one."""

    broker: Broker
    folder: Path
    lake: Lake
    topic: str
    topic_id: str
    partitions: int
    seed: int
    repeats: bool
    rng: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    done: list[str] = field(default_factory=list)
    _ingests: list[Command] = field(default_factory=list)

    # What a phase is made of.

    def ingest(self, armed: Arm | None = None, follow: bool = False) -> Command:
        """Starts an ingest process. A follower is alone in its group, so that it need not wait for the dead."""
        number = len(self._ingests)
        arguments = [
            "ingest",
            "--source",
            f"kafka://{self.broker.cluster.bootstrap()}/{self.topic}",
            "--lake",
        ]
        arguments += [str(self.lake.path), "--workers", "1", "--json", *(["--follow"] if follow else [])]
        environment = {
            "SCARECROW_PRIVACY__HASH_KEY": HASH_KEY,
            "SCARECROW_INGEST__DEDUP_HORIZON": "4000000" if self.repeats else "0",
            "SCARECROW_KAFKA_GROUP": f"{self.topic}-{number}",
            "SCARECROW_KAFKA_STALL_SECONDS": "5",
        }
        # From a few dozen records up to all that is there: ranges of one process begin inside those of another.
        cycle_bytes = int(2 ** self.rng.uniform(15, 20))
        log = self.folder / f"ingest-{number}.log"
        started = start_command(arguments, environment, log, cycle_bytes, armed)
        self._ingests.append(started)
        return started

    def hit(self, kind: str, what: str) -> None:
        """Counts a fault and looks at the lake."""
        self.hits[kind] += 1
        self.done.append(f"{kind}: {what}")
        with (self.folder / "faults").open("a") as file:
            file.write(self.done[-1] + "\n")
        self.check()

    def check(self, is_over: bool = False) -> None:
        """Holds the lake against the log. Raises AssertionError with seed, faults and difference."""
        try:
            held = look(
                self.lake, {p: f"kafka:{self.topic}:{self.topic_id}:{p}" for p in range(self.partitions)}
            )
            said = read_ledger(self.folder / "ledger")
            log = read_log(self.broker.cluster.bootstrap(), self.topic, self.topic_id, self.partitions)
            check_ledger(log, said, is_over)
            check_lake(self.lake, held, log, self.repeats)
            if is_over:
                assert dict(held.stands) == dict(log.ends), f"lake at {held.stands}, log at {log.ends}"
        except AssertionError as error:
            faults = "\n".join(f"{i + 1:4d} {fault}" for i, fault in enumerate(self.done))
            raise AssertionError(f"{error}\nseed {self.seed}, faults so far:\n{faults}") from error

    def finish(self) -> int:
        """An undisturbed ingest takes the rest; returns how many records the lake then holds."""
        code = (calm := self.ingest()).wait()
        assert code == 0, f"the undisturbed ingest ended with {code}: {calm.said()}"
        self.check(is_over=True)
        self.conflicts += sum(ingest.conflicts() for ingest in self._ingests)
        app_ids = {p: f"kafka:{self.topic}:{self.topic_id}:{p}" for p in range(self.partitions)}
        return sum(look(self.lake, app_ids).counted.values())

    def end(self) -> None:
        """No process of this run goes on."""
        for ingest in self._ingests:
            ingest.end()

    # Faults.

    def kill_at(self, armed: Arm) -> None:
        """SIGKILL at a named step."""
        for _ in range(_ATTEMPTS):
            ingest = self.ingest(armed, follow=self.rng.random() < _FOLLOWED_SHARE)
            code = ingest.wait()
            if code == -armed.signal:
                self.hit("kill at a step", str(armed))
                return
            assert code == 0, f"ingest ended with {code}: {ingest.said()}"
        raise AssertionError(f"no ingest came to {armed}")

    def kill_at_random(self) -> None:
        """SIGKILL at a random moment: while it starts, while it reads what has gathered, or between later cycles."""
        for _ in range(_ATTEMPTS):
            cycles = self.rng.choice((0, 0, 1, 2))
            ingest = self.ingest(follow=cycles > 0 or self.rng.random() < 0.5)
            ingest.waited_for(cycles)
            moment = self.rng.uniform(0.0, 1.5)
            time.sleep(moment)
            if ingest.kill():
                self.hit(
                    "kill at random",
                    f"{moment:.2f} s after {cycles} cycles; {ingest.cycles()} were committed",
                )
                return
        raise AssertionError("every ingest was done before it could be killed")

    def zombie(self) -> None:
        """SIGSTOP between plan and commit; a successor goes on; then the sleeper wakes, and may go on too."""
        for _ in range(_ATTEMPTS):
            armed = Arm(
                self.rng.choice(BEFORE_COMMIT), self.rng.choice(("before", "after")), 1, signal.SIGSTOP
            )
            sleeper = self.ingest(armed, follow=self.rng.random() < _FOLLOWED_SHARE)
            eventually(lambda: sleeper.is_stopped() or sleeper.process.exitcode is not None, PATIENCE_SECONDS)  # noqa: B023
            if not sleeper.is_stopped():
                assert sleeper.wait() == 0, sleeper.said()
                continue
            successor = self.ingest(follow=True)
            successor.waited_for(self.rng.randrange(1, 4))
            if self.rng.random() < 0.5:
                self._let_go(successor)
            sleeper.send(signal.SIGCONT)
            self._let_go(sleeper)
            if successor.process.exitcode is None:
                self._let_go(successor)
            self.hit("zombie", f"{armed}, successor made {successor.cycles()} commits")
            return
        raise AssertionError("no sleeper was overtaken")

    def _let_go(self, ingest: Command) -> None:
        """Some more of its work, then a clean end."""
        time.sleep(self.rng.uniform(0.3, 1.0))
        ingest.send(signal.SIGTERM)
        code = ingest.wait()
        assert code == 0, f"after SIGTERM an ingest ended with {code}: {ingest.said()}"

    def race(self) -> None:
        """Two processes on one topic and lake at once; sometimes one of them is killed in the middle."""
        one, two = (self.ingest(follow=True) for _ in range(2))
        try:
            one.waited_for(1)
            two.waited_for(1)
        finally:
            time.sleep(self.rng.uniform(0, 1.0))
        if self.rng.random() < 0.3:
            two.kill()
        for ingest in (one, two):
            if ingest.process.exitcode is None:
                self._let_go(ingest)
        self.hit(
            "race", f"{one.cycles()} and {two.cycles()} commits, {one.conflicts() + two.conflicts()} refused"
        )

    def kill_compaction(self) -> None:
        """SIGKILL of a compaction at a named step, beside a follower that keeps writing to the same hours."""
        for _ in range(_ATTEMPTS):
            follower = self.ingest(follow=True)
            follower.waited_for(2)
            armed = Arm(
                self.rng.choice(OF_COMPACTION), self.rng.choice(("before", "after")), self.rng.randrange(1, 3)
            )
            log = self.folder / f"compact-{self.rng.getrandbits(32)}.log"
            compaction = start_command(["compact", "--lake", str(self.lake.path)], {}, log, 0, armed)
            try:
                code = compaction.wait()
            finally:
                compaction.end()
            self._let_go(follower)
            if code == -armed.signal:
                self.hit("compaction killed", f"{armed}, beside {follower.cycles()} commits")
                return
            # Done before it came to that, or it gave way to the follower, and said so.
            assert code == 0 or "hours that are closed" in compaction.said(), compaction.said()
            self.check()
        raise AssertionError("no compaction was killed")

    def full_disk(self, disk: SmallDisk) -> None:
        """The lake's disk fills up under an ingest, which fails; with space again another one goes on."""
        for _ in range(_ATTEMPTS):
            leave = int(2 ** self.rng.uniform(10, 19))
            disk.fill(leave)
            ingest = self.ingest(follow=self.rng.random() < _FOLLOWED_SHARE)
            eventually(
                lambda: ingest.process.exitcode is not None or ingest.cycles() > 2,  # noqa: B023
                PATIENCE_SECONDS,
            )
            free = disk.free_bytes()
            disk.empty()
            ingest.send(signal.SIGTERM)
            code = ingest.wait()
            said = ingest.said()
            if code != 0:
                last = said.strip().splitlines()[-1]
                assert f"the disk of lake {self.lake.path} is full" in last, said
                self.hit(
                    "full disk",
                    f"{leave} bytes left, {free} at the end, {ingest.cycles()} commits: {last[:200]}",
                )
                return
        raise AssertionError("the disk was never too small")

    def kill_broker(self, node: Node, pause: float) -> None:
        """SIGKILL of a broker under a follower, and its restart."""
        follower = self.ingest(follow=True)
        follower.waited_for(1)
        self.broker.cluster.kill_node(node)
        time.sleep(pause)
        before = follower.cycles()
        self.broker.cluster.start()
        # It finds the broker again by itself.
        follower.waited_for(before + 2)
        self._let_go(follower)
        self.hit("broker killed", f"node {node.number}, away for {pause:.1f} s and its start")

    def cut_off(self, network: Namespaces, place: int, seconds: float) -> None:
        """One node of three is alone for a while, under a follower."""
        follower = self.ingest(follow=True)
        follower.waited_for(1)
        network.cut(place)
        try:
            time.sleep(seconds)
        finally:
            network.heal(place)
        before = follower.cycles()
        follower.waited_for(before + 2)
        self._let_go(follower)
        self.hit("node cut off", f"node {place + 1} for {seconds:.1f} s, {before} commits before it was back")


@contextmanager
def fault_run(
    broker: Broker,
    folder: Path,
    fitted: FittedMap,
    seed: int,
    lake: Path | None = None,
    pause: float = 0.3,
    aged: bool = True,
) -> Iterator[FaultRun]:
    """A new topic and lake with a producer at work. The block's faults are checked to the end when it is left.

    lake: where, if not in `folder`. pause: mean seconds between the producer's batches. aged: the log does not begin
    at offset 0; not for brokers that are killed, which forget within a minute what they deleted.
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    partitions = rng.randrange(1, 4)
    topic = broker.topic(partitions, f"{folder.name}-{seed}")
    topic_id = str(broker.admin.describe_topics([topic])[0]["topic_id"])
    if aged:
        # Retention has been at work already: partition 0 does not begin at offset 0.
        broker.send(topic, [b"older than the log"] * 10)
        broker.delete_records(topic, before=10)
    made = new_lake(lake or folder / "lake", fitted)
    repeats = rng.random() < 0.5
    ledger = folder / "ledger"
    ledger.touch()
    # Without de-duplication in half of the phases: there the positions alone must be right.
    producer = start_producer(
        broker.cluster.bootstrap(), topic, partitions, seed, ledger, 0.05 if repeats else 0.0, pause
    )
    run = FaultRun(broker, folder, made, topic, topic_id, partitions, seed, repeats, rng)
    try:
        yield run
        producer.terminate()
        producer.join(150)
        assert producer.exitcode == 0, f"the producer ended with {producer.exitcode}"
        run.finish()
    finally:
        producer.kill()
        producer.join(10)
        run.end()
