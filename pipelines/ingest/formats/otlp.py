"""OTLP's JSON encoding: exports, spans, log records, attribute values.

Belongs here: the wire format (opentelemetry-proto, JSON mapping: ids as hex text, 64-bit integers as
strings). Not here: what the attributes mean (`otel`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipelines.ingest.formats.values import dig, integer

MAX_DEPTH = 256
"""Each level of a native attribute value costs four levels of JSON, so OTLP may nest deeper than a record."""

Key = tuple[str, str]
"""(trace id, span id)."""


class Attributes(Mapping[str, object]):
    """Attributes of a span, log record or resource, decoded when asked for. Of duplicates the last counts."""

    def __init__(self, raw: object) -> None:
        entries = raw if isinstance(raw, list) else ()
        self._raw = {
            e["key"]: e.get("value") for e in entries if isinstance(e, dict) and isinstance(e.get("key"), str)
        }

    def __getitem__(self, name: str) -> object:
        return any_value(self._raw[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True)
class Span:
    """One span: times in nanoseconds as logged (text or number)."""

    line: int
    key: Key
    parent: str | None
    attributes: Attributes
    resource: Attributes
    start: object
    end: object
    has_error: bool
    events: list[tuple[str, Attributes]] = field(default_factory=list)


@dataclass(frozen=True)
class LogRecord:
    """One log record of an event: body decoded, time in nanoseconds as logged."""

    line: int
    key: Key | None
    event: str
    attributes: Attributes
    resource: Attributes
    body: object
    time: object


def any_value(value: object) -> object:
    """Decode an AnyValue into plain JSON. Depth is bounded by that of the line."""
    if not isinstance(value, dict):
        return None
    for kind, inner in value.items():
        if kind == "intValue":
            return integer(inner)
        if kind == "arrayValue":
            items = dig(inner, "values")
            return [any_value(item) for item in items] if isinstance(items, list) else []
        if kind == "kvlistValue":
            return dict(Attributes(dig(inner, "values")))
        if kind in ("stringValue", "doubleValue", "boolValue", "bytesValue"):
            return inner
    return None


def spans(export: dict[str, object], line: int) -> Iterator[Span]:
    """The spans of one export; entries that are no objects, or have no ids, are passed over."""
    for resource, entry in _entries(export, "resourceSpans", "scopeSpans", "spans"):
        key = _key(entry)
        if key is None:
            continue
        parent = entry.get("parentSpanId")
        events = entry.get("events")
        yield Span(
            line=line,
            key=key,
            parent=parent if isinstance(parent, str) and parent else None,
            attributes=Attributes(entry.get("attributes")),
            resource=resource,
            start=entry.get("startTimeUnixNano"),
            end=entry.get("endTimeUnixNano"),
            has_error=dig(entry, "status", "code") in (2, "2", "STATUS_CODE_ERROR"),
            events=[
                (event["name"], Attributes(event.get("attributes")))
                for event in (events if isinstance(events, list) else ())
                if isinstance(event, dict) and isinstance(event.get("name"), str)
            ],
        )


def log_records(export: dict[str, object], line: int) -> Iterator[LogRecord]:
    """The log records of one export that name an event (in the field, or the attribute `event.name`)."""
    for resource, entry in _entries(export, "resourceLogs", "scopeLogs", "logRecords"):
        attributes = Attributes(entry.get("attributes"))
        event = entry.get("eventName") or attributes.get("event.name")
        if isinstance(event, str):
            time = entry.get("timeUnixNano")
            if time in (None, 0, "0", ""):
                time = entry.get("observedTimeUnixNano")
            yield LogRecord(
                line,
                _key(entry),
                event,
                attributes,
                resource,
                any_value(entry.get("body")),
                time,
            )


def _entries(
    export: dict[str, object], outer: str, middle: str, inner: str
) -> Iterator[tuple[Attributes, dict[str, object]]]:
    for block in _dicts(export.get(outer)):
        resource = Attributes(dig(block, "resource", "attributes"))
        for scope in _dicts(block.get(middle)):
            for entry in _dicts(scope.get(inner)):
                yield resource, entry


def _dicts(value: object) -> Iterator[dict[str, object]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _key(entry: dict[str, object]) -> Key | None:
    trace, span = entry.get("traceId"), entry.get("spanId")
    return (trace, span) if isinstance(trace, str) and isinstance(span, str) and trace and span else None
