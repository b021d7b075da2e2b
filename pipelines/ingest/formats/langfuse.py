"""Langfuse exports: observations as JSON lines (blob storage export, UI export, public API).

Belongs here: its field names, in snake case (blob storage) and camel case (API). Only observations of type
GENERATION or EMBEDDING are calls; spans, events, traces and scores are skipped. Enriched observations carry
the trace's user and session; the older observations do not (their lines have no account unless an option
names one).

Options: `account`: field paths tried in order, for example ["metadata.customer_id"].
"""

from functools import partial

from pipelines.ingest.formats.base import Json, LineFormat, Options, SkipError
from pipelines.ingest.formats.lines import BATCH_LINE_BYTES, LineError, unwrapped
from pipelines.ingest.formats.messages import (
    conversation,
    inputs_text,
    response_text,
    tool_schema,
)
from pipelines.ingest.formats.options import known_options, paths_option
from pipelines.ingest.formats.paths import Path
from pipelines.ingest.formats.values import (
    dig,
    epoch_ms,
    first_text,
    integer,
    milliseconds,
    number,
)

DEFAULT_ACCOUNT: tuple[Path, ...] = (
    ("user_id",),
    ("userId",),
    ("trace", "userId"),
    ("metadata", "user_id"),
)
_CALLS = frozenset({"GENERATION", "EMBEDDING"})


def adapter(options: Options) -> LineFormat:
    """The adapter; see the module for its options."""
    known_options("langfuse", options, {"account"})
    account = paths_option("langfuse", options, "account") or DEFAULT_ACCOUNT
    return LineFormat("langfuse", partial(_translate, account=account), BATCH_LINE_BYTES)


def _translate(row: Json, account: tuple[Path, ...]) -> Json:
    if "id" not in row or not any(name in row for name in ("type", "timestamp", "start_time", "startTime")):
        raise LineError("not a Langfuse observation")
    kind = row.get("type")
    if not isinstance(kind, str) or kind.upper() not in _CALLS:
        raise SkipError("no model call")
    is_embedding = kind.upper() == "EMBEDDING"
    asked = unwrapped(row.get("input"))
    said = conversation(asked)
    parameters = unwrapped(_get(row, "model_parameters", "modelParameters"))
    usage = unwrapped(_get(row, "usage_details", "usageDetails", "usage"))
    level = row.get("level")
    return {
        "event_id": first_text((row.get("id"),)),
        "event_time": epoch_ms(_get(row, "start_time", "startTime"), "ms"),
        "account_id": first_text(dig(row, *path) for path in account),
        "prompt": inputs_text(asked) if is_embedding else said.prompt,
        "model": first_text(
            (
                row.get("provided_model_name"),
                row.get("model"),
                row.get("providedModelName"),
            )
        ),
        "endpoint": "embeddings" if is_embedding else None,
        "conversation_id": first_text(
            (
                row.get("session_id"),
                row.get("sessionId"),
                row.get("trace_id"),
                row.get("traceId"),
            )
        ),
        "turn_index": None if is_embedding else said.turn_index,
        "system_prompt": said.system_prompt,
        "tool_schema": tool_schema(dig(asked, "tools") or dig(parameters, "tools")),
        "response": None if is_embedding else response_text(unwrapped(row.get("output"))),
        "temperature": number(dig(parameters, "temperature")),
        "max_tokens": integer(dig(parameters, "max_tokens") or dig(parameters, "maxTokens")),
        "prompt_tokens": _tokens(usage, "input", "promptTokens", "prompt_tokens"),
        "completion_tokens": _tokens(usage, "output", "completionTokens", "completion_tokens"),
        "status": 500 if level == "ERROR" else 200,
        "latency_ms": milliseconds(row.get("latency")),
    }


def _get(row: Json, *names: str) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _tokens(usage: object, *names: str) -> object:
    found = (dig(usage, name) for name in names)
    return integer(next((value for value in found if value is not None), None))
