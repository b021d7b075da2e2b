"""OpenTelemetry GenAI: OTLP JSON exports, one per line, as SDKs' file exporters and the collector write them.

Belongs here: which spans and log records are one call, and which attributes give which field. Content is
found by `otel_content`, the wire format is read by `otlp`.

A call is a span of a model operation with the log records of the same trace and span id, from whichever lines
of the batch and in whichever order. The joining rule:

- the record is at the span's line; lines that only contributed log records are skipped as joined;
- log records whose span is not in the batch make a call of their own when they hold its input, and are
  skipped when they hold only its answer;
- a span whose log records are not in the batch is a record without a prompt (the strict decoder rejects it,
  so it is counted and kept, not lost);
- the id is made of trace and span id, so a call that was cut in two by a batch's end is never counted twice;
- a model span that contains a model span of the same operation (a framework around a client) is a wrapper, no
  call.

No instrumentation sets an account by itself: it is looked for in the span, its log records, its ancestors in
the batch (nearest first) and its resource. `enduser.id`, which a server's authentication sets, comes before
`user.id`, which may come from the caller's baggage.

Options: `account`, `org`: attribute names tried in order.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.ingest.formats.base import Converted, Json, Options
from pipelines.ingest.formats.lines import BATCH_LINE_BYTES, LineError, load_line
from pipelines.ingest.formats.messages import tool_schema
from pipelines.ingest.formats.options import known_options, names_option
from pipelines.ingest.formats.otel_content import (
    DETAILS_EVENT,
    MESSAGE_EVENTS,
    content,
    is_content_event,
)
from pipelines.ingest.formats.otlp import (
    MAX_DEPTH,
    Key,
    LogRecord,
    Span,
    log_records,
    spans,
)
from pipelines.ingest.formats.values import epoch_ms, first_text, integer, number, whole

DEFAULT_ACCOUNT = (
    "enduser.id",
    "user.id",
    "traceloop.association.properties.user_id",
    "langfuse.user.id",
    "enduser.pseudo.id",
)
DEFAULT_ORG = (
    "organization.id",
    "tenant.id",
    "traceloop.association.properties.org_id",
)
_CONVERSATION = (
    "gen_ai.conversation.id",
    "session.id",
    "traceloop.association.properties.session_id",
)
_NO_CALL = frozenset({"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval"})
_CALL_MARKS = ("gen_ai.operation.name", "gen_ai.request.model", "llm.request.type")
_STATUS_OF_ERROR = {
    "BadRequestError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "APITimeoutError": 504,
    "timeout": 504,
}
"""error.type as the SDKs' exception classes name it; any other error is 500."""
_MAX_ANCESTORS = 64


@dataclass
class _Batch:
    """Everything found in a batch of lines, by trace and span id."""

    spans: dict[Key, Span]
    logs: dict[Key, list[LogRecord]]


@dataclass(frozen=True)
class OtelFormat:
    """The adapter; see the module for rules and options."""

    account: tuple[str, ...] = DEFAULT_ACCOUNT
    org: tuple[str, ...] = DEFAULT_ORG
    name: str = "otel"

    def convert(self, lines: Sequence[bytes]) -> Converted:
        """Translate a batch of OTLP JSON lines."""
        out, batch = Converted(), _Batch({}, defaultdict(list))
        reasons: dict[int, str] = {}
        for index, line in enumerate(lines):
            try:
                reasons[index] = _collect(batch, load_line(line, BATCH_LINE_BYTES, MAX_DEPTH), index)
            except LineError as error:
                out.rejects.append((index, str(error)))
        for key, span, logs in _calls(batch):
            out.add(
                span.line if span else logs[0].line,
                self._record(batch, key, span, logs),
            )
        settled = {*out.origins, *(index for index, _ in out.rejects)}
        out.skipped.extend((index, reason) for index, reason in reasons.items() if index not in settled)
        return out

    def _record(self, batch: _Batch, key: Key, span: Span | None, logs: list[LogRecord]) -> Json:
        own: list[Mapping[str, object]] = [span.attributes] if span else []
        own += [log.attributes for log in logs]
        around = [
            *own,
            *_ancestors(batch, key, span),
            *([span.resource] if span else [log.resource for log in logs]),
        ]
        operation = _operation(own)
        said = content(span, logs, operation == "embeddings")
        start = span.start if span else logs[0].time
        return {
            "event_id": f"{key[0]}:{key[1]}",
            "event_time": epoch_ms(start, "ns"),
            "account_id": _find(around, self.account),
            "org_id": _find(around, self.org),
            "prompt": said.said.prompt,
            "turn_index": said.said.turn_index,
            "system_prompt": said.said.system_prompt,
            "response": None if operation == "embeddings" else said.response,
            "tool_schema": tool_schema(_value(own, "gen_ai.tool.definitions")),
            "model": _find(own, ("gen_ai.request.model", "gen_ai.response.model")),
            "endpoint": operation,
            "conversation_id": _find(around, _CONVERSATION),
            "user_agent": _find(around, ("user_agent.original",)),
            "client_ip": _find(around, ("client.address",)),
            "temperature": number(_value(own, "gen_ai.request.temperature")),
            "max_tokens": integer(_value(own, "gen_ai.request.max_tokens")),
            "prompt_tokens": integer(_value(own, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")),
            "completion_tokens": integer(
                _value(own, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
            ),
            "status": _status(span, own),
            "latency_ms": _latency(span),
        }


def adapter(options: Options) -> OtelFormat:
    """The adapter; see the module for its options."""
    known_options("otel", options, {"account", "org"})
    return OtelFormat(
        names_option("otel", options, "account") or DEFAULT_ACCOUNT,
        names_option("otel", options, "org") or DEFAULT_ORG,
    )


def _collect(batch: _Batch, export: object, index: int) -> str:
    """Put a line's parts into the batch; returns why the line is skipped if no call starts on it."""
    if not isinstance(export, dict):
        raise LineError("not a JSON object")
    if not any(
        isinstance(export.get(name), list) for name in ("resourceSpans", "resourceLogs", "resourceMetrics")
    ):
        raise LineError("not an OTLP export")
    reason = "metrics" if "resourceMetrics" in export else "no model call"
    for span in spans(export, index):
        batch.spans[span.key] = span
    for log in log_records(export, index):
        if is_content_event(log) and log.key is not None:
            batch.logs[log.key].append(log)
            reason = "joined to a call on another line"
    return reason


def _calls(batch: _Batch) -> Iterator[tuple[Key, Span | None, list[LogRecord]]]:
    """The calls of a batch, in the order of their lines."""
    model_spans = {key: span for key, span in batch.spans.items() if _is_call(span.attributes)}
    wrappers = {
        (span.key[0], span.parent)
        for span in model_spans.values()
        if span.parent and _same_operation(model_spans.get((span.key[0], span.parent)), span)
    }
    for key, model_span in model_spans.items():
        if key not in wrappers:
            yield key, model_span, sorted(batch.logs.get(key, ()), key=_log_time)
    for key, logs in batch.logs.items():
        span = batch.spans.get(key)
        if span is not None and (key in model_spans or _operation([span.attributes]) in _NO_CALL):
            continue
        if any(log.event in MESSAGE_EVENTS or log.event == DETAILS_EVENT for log in logs):
            yield key, span, sorted(logs, key=_log_time)


def _is_call(attributes: Mapping[str, object]) -> bool:
    return any(mark in attributes for mark in _CALL_MARKS) and _operation([attributes]) not in _NO_CALL


def _same_operation(outer: Span | None, inner: Span) -> bool:
    return outer is not None and _operation([outer.attributes]) == _operation([inner.attributes])


def _operation(own: Sequence[Mapping[str, object]]) -> str | None:
    name = _find(own, ("gen_ai.operation.name", "llm.request.type"))
    return {"embedding": "embeddings", "completion": "text_completion"}.get(name or "", name)


def _ancestors(batch: _Batch, key: Key, span: Span | None) -> Iterator[Mapping[str, object]]:
    """Attributes of the span's ancestors, nearest first; bounded, since hostile parents may form a circle."""
    for _ in range(_MAX_ANCESTORS):
        span = batch.spans.get((key[0], span.parent)) if span is not None and span.parent else None
        if span is None:
            return
        yield span.attributes


def _find(holders: Sequence[Mapping[str, object]], names: Sequence[str]) -> str | None:
    """The first text under the first of the names; the name's rank goes before nearness."""
    return first_text(holder.get(name) for name in names for holder in holders)


def _value(holders: Sequence[Mapping[str, object]], *names: str) -> object:
    found = (holder[name] for name in names for holder in holders if name in holder)
    return next((value for value in found if value is not None), None)


def _log_time(log: LogRecord) -> int:
    return whole(log.time) or 0


def _status(span: Span | None, own: Sequence[Mapping[str, object]]) -> object:
    code = integer(_value(own, "http.response.status_code", "http.status_code"))
    if code is not None:
        return code
    kind = _value(own, "error.type")
    if kind is None and not (span and span.has_error):
        return 200 if span else None
    numeric = integer(kind)
    return numeric if isinstance(numeric, int) else _STATUS_OF_ERROR.get(_class_name(kind), 500)


def _class_name(kind: object) -> str:
    """The class in an error.type such as `openai.RateLimitError` or `<class 'openai.RateLimitError'>`."""
    return str(kind)[-100:].rstrip("'>").rsplit(".", 1)[-1]


def _latency(span: Span | None) -> float | None:
    start, end = (whole(span.start), whole(span.end)) if span else (None, None)
    return (end - start) / 1e6 if start is not None and end is not None and end >= start else None
