"""Adapters from other logs to the native request record.

Belongs here: one module per log, and this registry of them. `native` is no adapter: native lines go to the
decoder as they are.
"""

from collections.abc import Callable, Mapping, Sequence

from pipelines.errors import UsageError
from pipelines.ingest.formats import bedrock, envoy, kong, langfuse, litellm, mapping, otel
from pipelines.ingest.formats.base import Converted, Format, Options
from pipelines.ingest.formats.lines import BATCH_LINE_BYTES, LineError, load_line
from pipelines.ingest.formats.otlp import MAX_DEPTH

__all__ = ["FORMATS", "Converted", "Format", "get_format", "guess_format"]

FORMATS: Mapping[str, str] = {
    "native": "the request record itself, one JSON object per line",
    "litellm": "LiteLLM StandardLoggingPayload, as the proxy's callbacks write it",
    "otel": "OpenTelemetry GenAI spans and log events, OTLP JSON exports",
    "envoy": "Envoy AI Gateway access log in JSON",
    "kong": "Kong Gateway log entries of the AI plugins",
    "bedrock": "Amazon Bedrock model invocation logs",
    "langfuse": "Langfuse observations (blob storage export or API)",
    "mapping": "any JSON, by a YAML file of field paths (option file)",
}
"""Names and what each is."""

_ADAPTERS: Mapping[str, Callable[[Options], Format]] = {
    "litellm": litellm.adapter,
    "otel": otel.adapter,
    "envoy": envoy.adapter,
    "kong": kong.adapter,
    "bedrock": bedrock.adapter,
    "langfuse": langfuse.adapter,
    "mapping": mapping.adapter,
}

_SIGNS: Mapping[str, Callable[[dict[str, object]], bool]] = {
    "native": lambda line: {"event_id", "event_time", "account_id"} <= line.keys(),
    "otel": lambda line: any(name in line for name in ("resourceSpans", "resourceLogs", "resourceMetrics")),
    "litellm": lambda line: (
        "litellm_call_id" in line or {"call_type", "model_map_information"} <= line.keys()
    ),
    "bedrock": lambda line: line.get("schemaType") == "ModelInvocationLog",
    "kong": lambda line: {"request", "started_at"} <= line.keys(),
    "langfuse": lambda line: (
        "id" in line and any(n in line for n in ("trace_id", "traceId")) and "type" in line
    ),
    "envoy": lambda line: (
        "response_code" in line and any(n in line for n in ("start_time", "x-request-id", "duration"))
    ),
}
"""What only lines of a format have; asked in this order."""


def get_format(name: str, options: Options) -> Format:
    """The adapter `name` with its options; raises UsageError for an unknown name or option."""
    if name == "native":
        raise UsageError("Format native needs no adapter; native lines are decoded as they are.")
    adapter = _ADAPTERS.get(name)
    if adapter is None:
        raise UsageError(f"There is no format {name!r}; choose one of {', '.join(FORMATS)}.")
    return adapter(options)


def guess_format(first_lines: Sequence[bytes]) -> str:
    """The format that most of the given lines bear the signs of; "native" when none does."""
    votes = dict.fromkeys(_SIGNS, 0)
    for line in first_lines:
        try:
            value = load_line(line, BATCH_LINE_BYTES, MAX_DEPTH)
        except LineError:
            continue
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict):
            name = next((name for name, has_signs in _SIGNS.items() if has_signs(first)), None)
            if name is not None:
                votes[name] += 1
    best = max(votes, key=lambda name: votes[name])
    return best if votes[best] else "native"
