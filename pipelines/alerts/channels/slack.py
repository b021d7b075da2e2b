"""Slack: Block Kit by incoming webhook. All text is plain_text, so that no id becomes a mention, a link or
bold.

An incoming webhook has no idempotency key: a message whose answer got lost may appear twice. Its key stands
in the last line, so that people can tell.
"""

from typing import Any

from pipelines.alerts.channels.base import Delivery
from pipelines.alerts.channels.cloudevents import encoded
from pipelines.alerts.channels.http import Endpoint
from pipelines.alerts.notice import Alert, Notice
from pipelines.alerts.text import headline, lines

_HEADER, _SECTION = 150, 2900


def escaped(text: str) -> str:
    """The three characters that Slack gives a meaning, as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(notice: Notice, key: str, name: str) -> dict[str, Any]:
    """The body. The fallback text, which Slack does parse, holds nothing from the log."""
    what = f"{notice.event} {notice.kind}" if isinstance(notice, Alert) else "daily digest"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(headline(notice), _HEADER)}]
    part = ""
    for line in lines(notice):
        if part and len(escaped(part)) + len(escaped(line)) + 1 > _SECTION:
            blocks.append({"type": "section", "text": _plain(part, _SECTION)})
            part = ""
        part = f"{part}\n{line}" if part else line
    if part:
        blocks.append({"type": "section", "text": _plain(part, _SECTION)})
    blocks.append({"type": "context", "elements": [_plain(f"{name}, {key}", _SECTION)]})
    return {
        "text": f"{name}: {what} {notice.uid}",
        "blocks": blocks[:50],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _plain(text: str, limit: int) -> dict[str, Any]:
    while len(escaped(text)) > limit:
        text = text[: len(text) - max(2, len(escaped(text)) - limit)] + "…"
    return {"type": "plain_text", "text": escaped(text), "emoji": False}


class Slack:
    """A Slack channel."""

    name = "slack"
    takes_digests = True

    def __init__(self, endpoint: Endpoint, installation: str) -> None:
        self._endpoint = endpoint
        self._installation = installation

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Posts the message."""
        body = encoded(message(notice, delivery.key, self._installation))
        self._endpoint.post(body, {"Content-Type": "application/json; charset=utf-8"})
        return None

    def close(self) -> None:
        """Nothing is kept open."""
