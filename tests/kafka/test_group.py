"""The consumer group: offsets as advice, and partitions shared among followers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.ingest.kafka.admin import Admin
from tests.kafka.broker import Broker, Lake, eventually
from tests.kafka.test_reading import values


def group_offsets(broker: Broker, group: str, topic: str) -> dict[int, int]:
    admin = Admin(broker.settings(), broker.cluster.bootstrap())
    try:
        return admin.group_offsets(group, topic)
    finally:
        admin.close()


def test_offsets_are_committed_as_advice(broker: Broker) -> None:
    topic = broker.topic(partitions=2)
    broker.send(topic, values(7), 0)
    broker.send(topic, values(3), 1)
    lake = Lake()
    lake.drain(broker.source(topic, settings=broker.settings(group="g-advice")))
    eventually(lambda: group_offsets(broker, "g-advice", topic) == {0: 7, 1: 3})


def test_followers_share_partitions_and_take_over(broker: Broker) -> None:
    topic = broker.topic(partitions=4)
    for partition in range(4):
        broker.send(topic, values(5, f"p{partition}"), partition)
    settings = broker.settings(group="g-share", session_seconds=6)
    one, two = broker.source(topic, settings=settings), broker.source(topic, settings=settings)

    def planned(source: object) -> set[str]:
        return {p.label for p in source.plan(lambda app_id: None, 1 << 20)}  # type: ignore[attr-defined]

    everything = {f"{topic}[{p}]@" for p in range(4)}
    try:
        one.join_group()
        eventually(lambda: planned(one) == everything)
        two.join_group()
        eventually(lambda: len(planned(one)) == 2 and planned(one) | planned(two) == everything)
        lake = Lake()
        lake.drain(one)
        lake.drain(two)
        assert sorted(lake.values()) == sorted(v for p in range(4) for v in values(5, f"p{p}"))
        # Members commit for their own partitions.
        eventually(lambda: group_offsets(broker, "g-share", topic) == dict.fromkeys(range(4), 5))
        one.close()
        eventually(lambda: planned(two) == everything)
    finally:
        one.close()
        two.close()


def test_advice_from_outside_a_living_group_changes_nothing(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(5))
    settings = broker.settings(group="g-outside")
    member = broker.source(topic, settings=settings)
    try:
        member.join_group()
        eventually(lambda: len(member.plan(lambda app_id: None, 1 << 20)) == 1)
        lake = Lake()
        lake.drain(broker.source(topic, settings=settings))
        assert lake.values() == values(5)
        assert group_offsets(broker, "g-outside", topic) == {}
    finally:
        member.close()


FOLLOWER = """
import sys, time
from pipelines.ingest.kafka import KafkaSettings, KafkaSource
source = KafkaSource(sys.argv[1], settings=KafkaSettings(group="g-kill", session_seconds=6))
source.join_group()
while True:
    print(len(source.plan(lambda app_id: None, 1 << 20)), flush=True)
    time.sleep(0.2)
"""


@pytest.mark.timeout(90)
def test_a_killed_followers_partitions_go_to_the_other(broker: Broker) -> None:
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.send(topic, values(1), partition)
    source = broker.source(topic, settings=broker.settings(group="g-kill", session_seconds=6))
    root = Path(__file__).parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, f"kafka://{broker.cluster.bootstrap()}/{topic}"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        source.join_group()
        eventually(lambda: len(source.plan(lambda app_id: None, 1 << 20)) == 1)
        os.kill(other.pid, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: len(source.plan(lambda app_id: None, 1 << 20)) == 2, 30)
        assert time.monotonic() - killed < 20
    finally:
        other.kill()
        other.communicate()
        source.close()
