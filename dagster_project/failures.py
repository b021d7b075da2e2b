"""What a failed step says; telling that a run failed, by the channels that carry free text: signed webhook and Slack.

Findings go through the outbox of `pipelines.alerts`; a failed run is no finding and is told once, best effort: the
run itself stays visible in Dagster.
"""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import SecretStr

from pipelines.settings import Settings

EVENT = "com.scarecrow.run.failed"


def sentence_of(event: dg.DagsterEvent) -> str:
    """The one sentence of a failed step: a ScarecrowError's own, or the first line of what broke."""
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error: Any = failure.error
    inner = error.cause if error is not None and error.cause is not None else error
    if inner is None:
        return f"step {event.step_key} failed without a word"
    return f"step {event.step_key} failed ({inner.message.strip().partition(chr(10))[0]})"


def tell_failure(message: Mapping[str, Any], settings: Settings, now_ms: int) -> list[str]:
    """Names of the channels that took it. Raises what the channel raises; Dagster then tries the sensor again."""
    from pipelines.alerts.channels.http import Endpoint
    from pipelines.alerts.channels.webhook import signature, signing_key
    from pipelines.report.inert import terminal

    alerts = settings.alerts
    told = []

    def endpoint(name: str, url: SecretStr) -> Endpoint:
        return Endpoint(name, url, alerts.timeout_seconds)

    if alerts.webhook.url is not None:
        key = f"run-{message['run_id']}"
        event = {
            "specversion": "1.0", "id": key, "source": f"/scarecrow/{alerts.name}", "type": EVENT,
            "datacontenttype": "application/json", "data": dict(message),
        }  # fmt: skip
        body = json.dumps(event).encode()
        seconds = now_ms // 1000
        headers = {
            "Content-Type": "application/cloudevents+json; charset=UTF-8",
            "webhook-id": key,
            "webhook-timestamp": str(seconds),
        }
        if alerts.webhook.key is not None:
            headers["webhook-signature"] = signature(signing_key(alerts.webhook.key), key, seconds, body)
        endpoint("alerts.webhook.url", alerts.webhook.url).post(body, headers)
        told.append("webhook")
    if alerts.slack.url is not None:
        text = f"Run of {message['job']} failed ({message['partition'] or 'no partition'}): {terminal(message['says'])}"
        block = {"type": "section", "text": {"type": "plain_text", "text": text[:2900]}}
        body = json.dumps({"text": "A Scarecrow run failed", "blocks": [block]}).encode()
        endpoint("alerts.slack.url", alerts.slack.url).post(body, {"Content-Type": "application/json"})
        told.append("slack")
    return told
