"""Alerts, OCSF, Osprey and the enforcement feed on a real broker, with hostile ids."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from pipelines.alerts.channels.topic import DELIVERY
from pipelines.alerts.run import send_alerts
from pipelines.enforce.run import enforce
from pipelines.settings import Settings, load_settings
from tests.hostile import HOSTILE
from tests.kafka.broker import Broker
from tests.small_mart import SmallMart

NOW_MS = 1_795_000_000_000
DAY = 86_400_000


@pytest.fixture
def mart(tmp_path: Path) -> Path:
    return SmallMart(ids=HOSTILE, campaign_ids=HOSTILE[6:9], texts=HOSTILE).write(tmp_path / "mart.duckdb")


def records(broker: Broker, topic: str) -> list[tuple[bytes, bytes | None, dict[str, bytes]]]:
    """Every record of partition 0: key, value, headers."""
    consumer = Consumer(
        {"bootstrap.servers": broker.cluster.bootstrap(), "group.id": "t", "enable.auto.commit": False}
    )
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        while len(found) < end:
            for message in consumer.consume(end - len(found), timeout=10):
                assert message.error() is None
                found.append((message.key(), message.value(), dict(message.headers() or [])))
        return found  # type: ignore[return-value]
    finally:
        consumer.close()


def alert_settings(broker: Broker, **topics: str) -> Settings:
    addresses = {f"alerts.{n}": f"kafka://{broker.cluster.bootstrap()}/{t}" for n, t in topics.items()}
    return load_settings(flags={**addresses, "alerts.backoff_seconds": 0, "alerts.first_accounts": 0})


def test_every_kind_of_topic(broker: Broker, mart: Path) -> None:
    names = {name: broker.topic() for name in ("kafka", "ocsf", "osprey")}
    settings = alert_settings(broker, **names)
    report = send_alerts(mart, settings, NOW_MS)
    assert report.waiting == 0
    assert len(report.told) == 3
    assert send_alerts(mart, settings, NOW_MS + 1).told == []
    events = records(broker, names["kafka"])
    assert [json.loads(v or b"")["id"].encode() for _, v, _ in events] == [h[DELIVERY] for _, _, h in events]
    assert [k.decode() for k, _, _ in events] == [a.uid for a in report.told]
    assert {json.loads(v or b"")["data"]["id"] for _, v, _ in events} == set(HOSTILE[6:9])
    assert {json.loads(v or b"")["class_uid"] for _, v, _ in records(broker, names["ocsf"])} == {2004}
    for _, value, headers in records(broker, names["osprey"]):
        envelope = json.loads(value or b"")  # as Osprey's KafkaInputStream takes it apart
        assert envelope["send_time"].endswith("Z")
        assert 0 <= int(envelope["data"]["action_id"]) < 2**63
        assert envelope["data"]["action_name"] == "scarecrow_campaign_opened"
        assert envelope["data"]["data"]["delivery"].encode() == headers[DELIVERY]
    assert all((v or b"").isascii() for n in names.values() for _, v, _ in records(broker, n))


def test_a_broker_that_is_away_loses_nothing(broker: Broker, mart: Path) -> None:
    topic = broker.topic()
    away = load_settings(
        flags={
            "alerts.kafka": f"kafka://127.0.0.1:1/{topic}",
            "alerts.attempts": 1,
            "alerts.timeout_seconds": 1,
            "alerts.first_campaigns": 1,
            "alerts.first_accounts": 0,
        }
    )
    assert send_alerts(mart, away, NOW_MS).waiting == 1
    assert records(broker, topic) == []
    report = send_alerts(mart, alert_settings(broker, kafka=topic), NOW_MS + 1)
    assert [(d.sent, d.waiting) for d in report.deliveries] == [(1, 0)]
    assert len(records(broker, topic)) == 1


def test_the_compacted_topic_says_what_is_in_force(broker: Broker, mart: Path, tmp_path: Path) -> None:
    topic = broker.topic(cleanup_policy="compact")
    settings = load_settings(flags={"enforce.topic": f"kafka://{broker.cluster.bootstrap()}/{topic}"})
    out = tmp_path / "actions.jsonl"
    first = enforce(mart, out, "jsonl", settings, NOW_MS)
    assert first.published == len(first.entries) > 0
    assert enforce(mart, out, "jsonl", settings, NOW_MS + 1).published == 0
    held = {
        f"{r['subject_kind']}:{r['subject_id']}": r for r in map(json.loads, out.read_text().splitlines())
    }
    assert {k.decode(): json.loads(v or b"null") for k, v, _ in records(broker, topic)} == held
    # Everything expires: null values take the keys out of the topic.
    import duckdb

    with duckdb.connect(str(mart)) as connection:
        connection.execute("UPDATE runs SET as_of = as_of - INTERVAL 1 DAY")
    last = enforce(mart, out, "jsonl", settings, NOW_MS + 9 * DAY)
    assert last.entries == []
    assert set({k.decode(): v for k, v, _ in records(broker, topic)}.values()) == {None}
