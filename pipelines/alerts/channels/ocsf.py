"""OCSF 1.8 Detection Finding (class 2004), for a SIEM: the event, and a file of them.

Written to https://schema.ocsf.io 1.8.0 with the incident profile (verdict). Here: the mapping, and appending
lines durably. Topics are topic.py's business.
"""

import fcntl
import mmap
import os
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from pipelines.alerts.channels.base import Delivery, Refused, TryAgain
from pipelines.alerts.channels.cloudevents import encoded
from pipelines.alerts.channels.topic import Topic, TopicWriter
from pipelines.alerts.notice import Alert, Notice, Reason
from pipelines.alerts.text import headline, lines, shown
from pipelines.errors import ScarecrowError

_ACTIVITY = {"opened": (1, "Create"), "worse": (2, "Update"), "resolved": (3, "Close")}
_STATUS = {"opened": (1, "New"), "worse": (2, "In Progress"), "resolved": (4, "Resolved")}
_CONFIDENCE = {"low": (1, "Low"), "medium": (2, "Medium"), "high": (3, "High")}
_VERDICTS = {
    "false_positive": (1, "False Positive"),
    "true_positive": (2, "True Positive"),
    "suspicious": (4, "Suspicious"),
    "benign": (5, "Benign"),
    "insufficient_data": (7, "Insufficient Data"),
    "duplicate": (10, "Duplicate"),
}


def finding(alert: Alert, key: str, name: str, is_shadow: bool) -> dict[str, Any]:
    """The event. Values of evidence are strings, as the schema has them."""
    activity_id, activity = _ACTIVITY[alert.event]
    status_id, status = _STATUS[alert.event]
    severity_id, severity = _severity(alert)
    confidence_id, confidence = _CONFIDENCE.get(alert.confidence or "", (0, "Unknown"))
    title = headline(alert)
    event: dict[str, Any] = {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200400 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": alert.told_at_ms,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "confidence_id": confidence_id,
        "confidence": confidence,
        "message": title,
        "is_alert": not is_shadow,
        "metadata": {
            "version": "1.8.0",
            "uid": key,
            "correlation_uid": alert.uid,
            "product": {"name": "Scarecrow", "vendor_name": "Scarecrow", "version": version("scarecrow")},
            "profiles": ["incident"],
            "log_provider": name,
        },
        "finding_info": {
            "uid": alert.uid,
            "title": title,
            "desc": "\n".join(lines(alert)),
            "types": ["Model extraction"],
            "modified_time": alert.told_at_ms,
            "analytic": {
                "name": "Harvesting campaigns",
                "type_id": 3,
                "type": "Statistical",
                "state_id": 3 if is_shadow else 1,
                "state": "Experimental" if is_shadow else "Active",
            },
        },
        "resources": [{"uid": alert.id, "name": shown(alert.id), "type": alert.kind}],
    }
    if alert.first_seen_ms is not None and alert.last_seen_ms is not None:
        event["finding_info"] |= {
            "first_seen_time": alert.first_seen_ms,
            "last_seen_time": alert.last_seen_ms,
        }
    anomalies = [r for r in alert.reasons if r.contribution > 0 and r.seen]
    if anomalies:
        event["anomaly_analyses"] = [_analysis(alert.kind, anomalies)]
    if alert.label in _VERDICTS:
        event["verdict_id"], event["verdict"] = _VERDICTS[alert.label]
    return event


def _analysis(kind: str, reasons: list[Reason]) -> dict[str, Any]:
    analysis: dict[str, Any] = {
        "analysis_targets": [{"name": kind, "type": "API principal"}],
        "anomalies": [_observed(r, r.seen) for r in reasons],
    }
    baselines = [_observed(r, r.peers) for r in reasons if r.peers]
    return analysis | ({"baselines": baselines} if baselines else {})


def _observed(reason: Reason, value: str) -> dict[str, Any]:
    return {
        "observation_parameter": shown(reason.reason, 80),
        "observation_type": shown(reason.family, 40),
        "observations": [{"value": shown(value, 80)}],
    }


def _severity(alert: Alert) -> tuple[int, str]:
    if alert.state == "needs_review" or alert.event == "resolved":
        return 1, "Informational"
    return (4, "High") if alert.kind == "campaign" else (3, "Medium")


class OcsfFile:
    """A file of events, one JSON object per line."""

    name = "ocsf"
    takes_digests = False

    def __init__(self, path: Path, installation: str, is_shadow: bool) -> None:
        self._path = path
        self._installation = installation
        self._is_shadow = is_shadow

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Appends the event, durably; an event that an earlier try has written is not written again."""
        if not isinstance(notice, Alert):
            raise ScarecrowError("An OCSF file takes no digests.")
        line = encoded(finding(notice, delivery.key, self._installation, self._is_shadow)) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if delivery.is_repeat and _holds(file, delivery.key):
                    return None
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except PermissionError:
            raise Refused(f"The file {self._path} cannot be written; check its rights.") from None
        except OSError as error:
            raise TryAgain(f"The file {self._path} cannot be written ({error.strerror}).") from None
        return None

    def close(self) -> None:
        """The file is opened for each event."""


def _holds(file: IO[bytes], key: str) -> bool:
    """Whether the key is in the file; a line that a killed writer left half done is cut off first."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return False
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        whole = text.rfind(b"\n") + 1
        found = text.rfind(f'"uid":"{key}"'.encode(), 0, whole) >= 0
    if whole < size:
        file.truncate(whole)
        file.seek(0, os.SEEK_END)
    return found


def ocsf_topic(writer: TopicWriter, installation: str, is_shadow: bool) -> Topic:
    """A topic of events."""

    def render(notice: Notice, delivery: Delivery) -> bytes:
        if not isinstance(notice, Alert):
            raise ScarecrowError("An OCSF topic takes no digests.")
        return encoded(finding(notice, delivery.key, installation, is_shadow))

    return Topic("ocsf", writer, render, "application/json", takes_digests=False)
