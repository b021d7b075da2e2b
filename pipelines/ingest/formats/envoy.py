"""Envoy AI Gateway's access log in its JSON format.

Belongs here: the field names of its default and documented formats. The operator chooses the names, so each
field has several; keys are flat and hold dots. An access log carries no prompt by itself: it has one when the
operator puts the body, or `gen_ai.input.messages`, into the format. Without it the record has no prompt and
is judged as such.

"-" is Envoy's word for absent. A line that names no model is other traffic of the gateway and is skipped.

Options: `account`, `prompt`: names of fields tried in order.
"""

from functools import partial

from pipelines.ingest.formats.base import Json, LineFormat, Options, SkipError
from pipelines.ingest.formats.lines import LineError
from pipelines.ingest.formats.messages import conversation, response_text
from pipelines.ingest.formats.options import known_options, names_option
from pipelines.ingest.formats.values import (
    epoch_ms,
    first_text,
    integer,
    number,
    present,
)
from schemas.request import MAX_RECORD_BYTES

DEFAULT_ACCOUNT = (
    "account_id",
    "enduser.id",
    "user.id",
    "caller",
    "x-account-id",
    "x-tenant-id",
    "x-user-id",
)
DEFAULT_PROMPT = ("gen_ai.input.messages", "prompt", "request_body", "request.body")

_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("x-request-id", "request_id", "x_request_id"),
    "time": ("start_time", "timestamp", "time"),
    "model": (
        "gen_ai.request.model",
        "genai_model_name",
        "model",
        "gen_ai.response.model",
        "genai_model_name_override",
    ),
    "prompt_tokens": (
        "gen_ai.usage.input_tokens",
        "genai_tokens_input",
        "llm_input_token",
        "input_tokens",
    ),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "genai_tokens_output",
        "llm_output_token",
        "output_tokens",
    ),
    "endpoint": (
        "x-envoy-origin-path",
        "x-envoy-original-path",
        "request.path",
        "path",
    ),
    "status": ("response_code", "status"),
    "latency": ("duration", "duration_ms"),
    "user_agent": ("user-agent", "user_agent.original", "user_agent"),
    "session": (
        "session.id",
        "gen_ai.conversation.id",
        "x-session-id",
        "agent-session-id",
    ),
    "response": ("gen_ai.output.messages", "response_body", "response.body"),
}


def adapter(options: Options) -> LineFormat:
    """The adapter; see the module for its options."""
    known_options("envoy", options, {"account", "prompt"})
    account = names_option("envoy", options, "account") or DEFAULT_ACCOUNT
    prompt = names_option("envoy", options, "prompt") or DEFAULT_PROMPT
    return LineFormat("envoy", partial(_translate, account=account, prompt=prompt), MAX_RECORD_BYTES)


def _translate(entry: Json, account: tuple[str, ...], prompt: tuple[str, ...]) -> Json:
    if "response_code" not in entry and "start_time" not in entry and "x-request-id" not in entry:
        raise LineError("not an Envoy access log entry")
    model = first_text(entry.get(name) for name in _NAMES["model"])
    if model is None:
        raise SkipError("no model call")
    body = next(
        (value for name in prompt if (value := present(entry.get(name))) is not None),
        None,
    )
    said = conversation(body)
    path = _get(entry, "endpoint")
    return {
        "event_id": first_text(entry.get(name) for name in _NAMES["id"]),
        "event_time": epoch_ms(_get(entry, "time"), "ms"),
        "account_id": first_text(entry.get(name) for name in account),
        "prompt": said.prompt,
        "model": model,
        "endpoint": path.split("?")[0] if isinstance(path, str) else path,
        "conversation_id": _get(entry, "session"),
        "user_agent": _get(entry, "user_agent"),
        "client_ip": _client_ip(entry),
        "turn_index": said.turn_index,
        "system_prompt": said.system_prompt,
        "response": response_text(_get(entry, "response")),
        "prompt_tokens": integer(_get(entry, "prompt_tokens")),
        "completion_tokens": integer(_get(entry, "completion_tokens")),
        "status": integer(_get(entry, "status")) or None,
        "latency_ms": number(_get(entry, "latency")),
    }


def _get(entry: Json, field: str) -> object:
    """The first of a field's names that is present; status 0 is Envoy's word for a client that went away."""
    return next(
        (value for name in _NAMES[field] if (value := present(entry.get(name))) is not None),
        None,
    )


def _client_ip(entry: Json) -> str | None:
    """The client's end of X-Forwarded-For, else the peer's address without its port."""
    forwarded = first_text((entry.get("x-forwarded-for"),))
    if forwarded:
        return first_text((forwarded.split(",")[0].strip(),))
    peer = first_text((entry.get("downstream_remote_address"),))
    if peer and peer.startswith("["):
        return peer[1:].split("]")[0]
    return peer.rsplit(":", 1)[0] if peer and peer.count(":") == 1 else peer
