"""Where OpenTelemetry instrumentations put the text of a call, in all generations of the GenAI conventions.

Belongs here: turning spans' attributes, span events and log events into lists of messages. In order of
preference: `gen_ai.input.messages` (a JSON string on spans, a native array on log events), the
`gen_ai.content.prompt` span event, flattened `gen_ai.prompt.N.role` / `.content` attributes, and one event
per message (`gen_ai.user.message`, ...).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.ingest.formats.lines import LineError, load_text
from pipelines.ingest.formats.messages import (
    Conversation,
    conversation,
    inputs_text,
    response_text,
)
from pipelines.ingest.formats.otlp import LogRecord, Span
from pipelines.ingest.formats.values import dig, first_text

DETAILS_EVENT = "gen_ai.client.inference.operation.details"
CHOICE_EVENT = "gen_ai.choice"
MESSAGE_EVENTS = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}

_FLAT = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,6})\.(role|content)", re.ASCII)


@dataclass(frozen=True)
class Content:
    """What was said in a call, as far as it was captured."""

    said: Conversation
    response: str | None = None


def content(span: Span | None, logs: Iterable[LogRecord], is_embedding: bool) -> Content:
    """Collect the content of one call from its span and its log records (in the order of their times)."""
    logs = list(logs)
    holders: list[Mapping[str, object]] = [log.attributes for log in logs if log.event == DETAILS_EVENT]
    if span is not None:
        holders = [
            span.attributes,
            *holders,
            *(attributes for _, attributes in span.events),
        ]
    given = _first_value(holders, ("gen_ai.input.messages", "gen_ai.prompt"))
    answer = _first_value(holders, ("gen_ai.output.messages", "gen_ai.completion"))
    if given is None and span is not None:
        given = _flattened(span.attributes, "prompt")
        answer = answer if answer is not None else _flattened(span.attributes, "completion")
    if given is None:
        given = _message_events(span, logs)
    if answer is None:
        answer = [log.body for log in logs if log.event == CHOICE_EVENT]
        answer = [dig(body, "message") or body for body in answer] or None
    said = conversation(given)
    if is_embedding:
        said = Conversation(inputs_text(_messages_of(given)), None, None)
    system = first_text(
        (
            response_text(_first_value(holders, ("gen_ai.system_instructions",))),
            said.system_prompt,
        )
    )
    return Content(Conversation(said.prompt, said.turn_index, system), response_text(answer))


def is_content_event(log: LogRecord) -> bool:
    """Whether a log record carries part of a call."""
    return log.event in MESSAGE_EVENTS or log.event in (DETAILS_EVENT, CHOICE_EVENT)


def _first_value(holders: Iterable[Mapping[str, object]], names: Iterable[str]) -> object:
    found = (holder[name] for name in names for holder in holders if name in holder)
    return next((value for value in found if value not in (None, "", [])), None)


def _flattened(attributes: Mapping[str, object], part: str) -> list[object] | None:
    """Messages from `gen_ai.prompt.N.role` and `gen_ai.prompt.N.content`; a missing role is the user's."""
    messages: dict[int, dict[str, object]] = {}
    for name in attributes:
        found = _FLAT.fullmatch(name)
        if found and found[1] == part:
            value = attributes[name]
            # Lists of content parts are flattened into JSON text.
            structured = _messages_of(value) if found[3] == "content" else value
            messages.setdefault(int(found[2]), {})[found[3]] = structured
    return [{"role": "user"} | messages[n] for n in sorted(messages)] or None


def _message_events(span: Span | None, logs: list[LogRecord]) -> list[object] | None:
    messages: list[object] = []
    for name, attributes in span.events if span is not None else ():
        if name in MESSAGE_EVENTS:
            messages.append({"role": MESSAGE_EVENTS[name], "content": attributes.get("content")})
    for log in logs:
        if log.event in MESSAGE_EVENTS:
            body = log.body if isinstance(log.body, dict) else {"content": log.body}
            messages.append({"role": MESSAGE_EVENTS[log.event]} | body)
    return messages or None


def _messages_of(value: object) -> object:
    """A value that may be JSON text of a list, as that list; anything else as it is."""
    if isinstance(value, str) and value[:1] == "[":
        try:
            parsed = load_text(value)
        except LineError:
            return value
        return (
            parsed if isinstance(parsed, list) and all(isinstance(item, dict) for item in parsed) else value
        )
    return value
