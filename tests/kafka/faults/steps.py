"""The named steps of an ingest, and a signal that a process sends itself before or after one of them.

A step is a function of the product, named by where it is found; it runs as it is, only the signal is new. A name
that does not exist any more fails the test instead of passing it by.
"""

import importlib
import os
from dataclasses import dataclass
from signal import SIGKILL, Signals
from typing import Any, Literal

STEPS = (
    "pipelines.ingest.cycle:stand",
    "pipelines.ingest.kafka.source:KafkaSource.plan",
    "pipelines.ingest.job:run",
    "pipelines.ingest.kafka.reader:_Range._take",
    "pipelines.ingest.kafka.source:KafkaSource.reached",
    "pipelines.ingest.job:_leave",
    "pipelines.ingest.job:write",
    "pipelines.ingest.job:reports",
    "pipelines.lake.events:SeenEvents.extend",
    "pipelines.ingest.cycle:_advances",
    "pipelines.ingest.cycle:commit",
    "pipelines.lake.commit:write_note",
    "pipelines.lake.commit:_commit_rejects",
    "deltalake:DeltaTable.create_write_transaction",
    "pipelines.lake.commit:settle",
    "pipelines.lake.commit:forget_before",
    "pipelines.lake.events:SeenEvents.follow",
    "pipelines.ingest.kafka.source:KafkaSource.acknowledge",
)
"""In the order in which a cycle takes them."""

BEFORE_COMMIT = STEPS[STEPS.index("pipelines.ingest.job:run") : STEPS.index("pipelines.lake.commit:settle")]
"""Between the plan and the commit: where a process that sleeps wakes as a zombie."""

OF_COMPACTION = (
    "pipelines.lake.compact:_folded",
    "pipelines.lake.compact:_replace",
    "deltalake:DeltaTable.create_write_transaction",
    "deltalake:DeltaTable.vacuum",
    "deltalake:DeltaTable.create_checkpoint",
    "pipelines.lake.compact:_sweep",
)

Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Arm:
    """Which signal the process sends itself, and when. nth: at which passing of the step, from 1 on."""

    step: str
    moment: Moment
    nth: int = 1
    signal: Signals = SIGKILL

    def __str__(self) -> str:
        return f"{self.signal.name} {self.moment} {self.step.partition(':')[2]} #{self.nth}"


def arm(what: Arm) -> None:
    """Wraps the step in this process. Raises AttributeError when there is no such step."""
    module, _, path = what.step.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    step = getattr(owner, name)
    passed = 0

    def armed(*args: Any, **kwargs: Any) -> Any:
        nonlocal passed
        passed += 1
        mine = passed == what.nth
        if mine and what.moment == "before":
            os.kill(os.getpid(), what.signal)
        result = step(*args, **kwargs)
        if mine and what.moment == "after":
            os.kill(os.getpid(), what.signal)
        return result

    setattr(owner, name, armed)
