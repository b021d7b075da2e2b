"""CloudEvents 1.0 (structured JSON): the envelope of the generic webhook and of the Kafka topic."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pipelines.alerts.notice import Alert, Notice
from pipelines.alerts.text import ID_LENGTH, headline, lines, shown

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def event(notice: Notice, key: str, name: str) -> dict[str, Any]:
    """The event. id is the idempotency key; data holds the notice, exact ids included, and its text."""
    data = asdict(notice)
    if isinstance(notice, Alert):
        kind = f"finding.{notice.event}"
        data["shown_id"] = shown(notice.id, ID_LENGTH)
    else:
        kind = "digest"
    data["text"] = "\n".join([headline(notice), *lines(notice)])
    return {
        "specversion": "1.0",
        "id": key,
        "source": f"/scarecrow/{name}",
        "type": f"io.scarecrow.{kind}.v1",
        "subject": notice.uid,
        "time": rfc3339(notice.told_at_ms),
        "datacontenttype": "application/json",
        "data": data,
    }


def encoded(value: object) -> bytes:
    """JSON in ASCII: what steers a terminal or turns the reading direction stays an escape."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def rfc3339(at_ms: int) -> str:
    """A time in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
