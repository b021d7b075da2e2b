"""Osprey (roostorg/osprey): actions on its Kafka input topic, for rules that act on findings.

The envelope is what its KafkaInputStream reads: send_time (Go's RFC 3339) and data with action_id,
action_name and data. action_id is made of the idempotency key, so that a repeat is the same action.
"""

from typing import Any

from pipelines.alerts.channels.base import Delivery
from pipelines.alerts.channels.cloudevents import encoded, rfc3339
from pipelines.alerts.channels.topic import Topic, TopicWriter
from pipelines.alerts.notice import Alert, Notice
from pipelines.alerts.text import ID_LENGTH, headline, shown
from pipelines.errors import ScarecrowError


def action(alert: Alert, key: str, name: str) -> dict[str, Any]:
    """The envelope. Names in data are flat, for rules read them by path."""
    return {
        "send_time": rfc3339(alert.told_at_ms),
        "data": {
            "action_id": str(int(key[:16], 16) >> 1),  # a signed 64-bit number, as a string
            "action_name": f"scarecrow_{alert.kind}_{alert.event}",
            "data": {
                "installation": name,
                "delivery": key,
                "subject_kind": alert.kind,
                "subject_id": alert.id,
                "shown_id": shown(alert.id, ID_LENGTH),
                "headline": headline(alert),
                "score": alert.score,
                "rank": alert.place,
                "accounts": alert.accounts,
                "requests": alert.requests,
                "confidence": alert.confidence,
                "label": alert.label,
                "families": sorted(f for f, nats in alert.families.items() if nats > 0),
                "as_of_ms": alert.as_of_ms,
            },
        },
    }


def osprey_topic(writer: TopicWriter, installation: str) -> Topic:
    """Osprey's input topic."""

    def render(notice: Notice, delivery: Delivery) -> bytes:
        if not isinstance(notice, Alert):
            raise ScarecrowError("Osprey takes no digests.")
        return encoded(action(notice, delivery.key, installation))

    return Topic("osprey", writer, render, "application/json", takes_digests=False)
