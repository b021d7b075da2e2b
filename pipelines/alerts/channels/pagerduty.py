"""PagerDuty Events API v2: one incident per subject, resolved when the finding is.

dedup_key is the subject, not the message: a repeat or a worse finding joins the open incident. The routing
key is put in when a message leaves and is never in the outbox.
"""

from typing import Any

from pydantic import SecretStr

from pipelines.alerts.channels.base import Delivery
from pipelines.alerts.channels.cloudevents import encoded, rfc3339
from pipelines.alerts.channels.http import Endpoint
from pipelines.alerts.notice import Alert, Notice
from pipelines.alerts.text import ID_LENGTH, headline, lines, shown
from pipelines.errors import ScarecrowError

_SUMMARY = 1024


def change(alert: Alert, name: str) -> dict[str, Any]:
    """The event without its routing key."""
    resolved = alert.event == "resolved"
    body: dict[str, Any] = {
        "event_action": "resolve" if resolved else "trigger",
        "dedup_key": f"{name}-{alert.uid}",
        "client": "Scarecrow",
    }
    if resolved:
        return body
    details: dict[str, object] = {f"{number:02d}": line for number, line in enumerate(lines(alert), 1)}
    details["id"] = shown(alert.id, ID_LENGTH)
    body["payload"] = {
        "summary": headline(alert)[:_SUMMARY],
        "source": name,
        "severity": severity(alert),
        "timestamp": rfc3339(alert.told_at_ms),
        "component": alert.kind,
        "class": "model extraction",
        "custom_details": details,
    }
    return body


def severity(alert: Alert) -> str:
    """What a person has to look at first is an error; nothing here is critical by itself."""
    if alert.state == "needs_review":
        return "info"
    return "error" if alert.kind == "campaign" else "warning"


class PagerDuty:
    """A PagerDuty service."""

    name = "pagerduty"
    takes_digests = False

    def __init__(self, endpoint: Endpoint, routing_key: SecretStr, installation: str) -> None:
        self._endpoint = endpoint
        self._routing_key = routing_key
        self._installation = installation

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Posts the event."""
        if not isinstance(notice, Alert):
            raise ScarecrowError("PagerDuty takes no digests.")
        body = {"routing_key": self._routing_key.get_secret_value(), **change(notice, self._installation)}
        self._endpoint.post(encoded(body), {"Content-Type": "application/json"})
        return None

    def close(self) -> None:
        """Nothing is kept open."""
