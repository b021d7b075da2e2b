"""LiteLLM's StandardLoggingPayload, as the proxy's callbacks write it (seen with 1.108).

Belongs here: its field names and traps. A line is one payload, or an array of them (the `generic_api`
callback's default body).

- The id is `litellm_call_id`; `id` is the provider's and may repeat. The failed attempt and the answer of a
  fallback share it, so a failed attempt is told apart by a suffix: it is a record of its own with its error
  status, and the answer is never taken for its repetition.
- The account is the key's user, else the key, else team or organisation. `end_user` comes from the caller's
  own `user` field: with the proxy's master key, which everybody behind it shares, it is the best there is;
  otherwise it is not trusted unless the option says so.
- A key that was refused has no account: such a line is skipped, not rejected.
- Embedding inputs appear as user messages but are no turns: all of them together are the prompt.

Options: `account`: field paths tried in order, for example ["end_user", "metadata.user_api_key_hash"].
"""

from collections.abc import Sequence
from functools import partial

from pipelines.ingest.formats.base import Json, LineFormat, Options, SkipError
from pipelines.ingest.formats.lines import BATCH_LINE_BYTES, LineError
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
    text,
    whole,
)

MASTER_KEY_USER = "default_user_id"
"""The user id that the proxy gives to whoever holds its master key."""

_ACCOUNT = (
    ("metadata", "user_api_key_user_id"),
    ("metadata", "user_api_key_hash"),
    ("metadata", "user_api_key_team_id"),
    ("metadata", "user_api_key_org_id"),
)
_ACCOUNT_BEHIND_MASTER_KEY = (
    ("end_user",),
    ("metadata", "user_api_key_end_user_id"),
    ("metadata", "user_api_key_hash"),
)
_IDENTITY = (*_ACCOUNT[:1], *_ACCOUNT[2:], ("end_user",))
_REFUSED = ("401", "403")


def adapter(options: Options) -> LineFormat:
    """The adapter; see the module for its options."""
    known_options("litellm", options, {"account"})
    return LineFormat(
        "litellm",
        partial(_translate, account=paths_option("litellm", options, "account")),
        BATCH_LINE_BYTES,
    )


def _translate(payload: Json, account: Sequence[Path] | None) -> Json:
    metadata = payload.get("metadata")
    if "litellm_call_id" not in payload and not ("call_type" in payload and "messages" in payload):
        raise LineError("not a LiteLLM standard logging payload")
    failed = payload.get("status") == "failure"
    code = dig(payload, "error_information", "error_code")
    if failed and str(code) in _REFUSED and first_text(dig(payload, *path) for path in _IDENTITY) is None:
        raise SkipError("key refused, no account")
    call_type = payload.get("call_type")
    is_embedding = isinstance(call_type, str) and "embedding" in call_type
    messages, parameters = payload.get("messages"), payload.get("model_parameters")
    said = conversation(messages)
    continues = dig(parameters, "previous_response_id") is not None
    return {
        "event_id": _event_id(payload, failed),
        "event_time": epoch_ms(payload.get("startTime"), "s"),
        "account_id": _account(payload, account),
        "prompt": inputs_text(messages) if is_embedding else said.prompt,
        "org_id": first_text(
            (
                dig(metadata, "user_api_key_org_id"),
                dig(metadata, "user_api_key_team_id"),
            )
        ),
        "api_key_id": text(dig(metadata, "user_api_key_hash")),
        "model": first_text((payload.get("model_group"), payload.get("model"))),
        "endpoint": first_text((dig(metadata, "user_api_key_request_route"), call_type)),
        "conversation_id": first_text(
            (
                payload.get("session_id"),
                dig(metadata, "requester_metadata", "session_id"),
                payload.get("trace_id"),
            )
        ),
        "user_agent": text(payload.get("user_agent") or dig(metadata, "user_agent")),
        "client_ip": _client_ip(payload.get("requester_ip_address") or dig(metadata, "requester_ip_address")),
        "turn_index": None if is_embedding or continues else said.turn_index,
        "system_prompt": said.system_prompt or text(dig(parameters, "instructions")),
        "tool_schema": tool_schema(dig(parameters, "tools")),
        "response": None if is_embedding else response_text(payload.get("response")),
        "temperature": number(dig(parameters, "temperature")),
        "max_tokens": integer(dig(parameters, "max_tokens") or dig(parameters, "max_completion_tokens")),
        "prompt_tokens": integer(payload.get("prompt_tokens")),
        "completion_tokens": integer(payload.get("completion_tokens")),
        "status": (whole(code) or 500) if failed else 200,
        "latency_ms": milliseconds(payload.get("response_time")),
    }


def _event_id(payload: Json, failed: bool) -> object:
    call_id = first_text((payload.get("litellm_call_id"), payload.get("id")))
    return f"{call_id}/failed" if failed and call_id else call_id


def _account(payload: Json, chosen: Sequence[Path] | None) -> str | None:
    if chosen is None:
        shared = dig(payload, "metadata", "user_api_key_user_id") == MASTER_KEY_USER
        chosen = _ACCOUNT_BEHIND_MASTER_KEY if shared else _ACCOUNT
    return first_text(dig(payload, *path) for path in chosen)


def _client_ip(value: object) -> object:
    """The client's end of an X-Forwarded-For list."""
    return text(value.split(",")[0].strip() if isinstance(value, str) else value)
