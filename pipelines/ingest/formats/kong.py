"""Kong Gateway's log entries (http-log, file-log, kafka-log, ...) of requests through the AI plugins.

Belongs here: its field names, which changed between versions:

| version | tokens | request payload |
|---|---|---|
| 3.6 | `ai.usage.prompt_token` | `ai.payload.request` |
| 3.7 to 3.9 | `ai.<plugin>.usage.prompt_token`, total_tokens | `ai.payload.request` |
| 3.10 on | `ai.proxy.usage.prompt_tokens` | `ai.proxy.payload.request` |

Payloads are logged only when the plugin's `logging.log_payloads` is on; they are JSON in a string, or an
object. An entry without an `ai` object is other traffic of the gateway and is skipped.

Options: `account`: field paths tried in order. By default the consumer, then the authenticated credential; a
consumer's name is what the gateway's operator bills.
"""

from functools import partial

from pipelines.ingest.formats.base import Json, LineFormat, Options, SkipError
from pipelines.ingest.formats.lines import LineError, unwrapped
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
    number,
    text,
)
from schemas.request import MAX_RECORD_BYTES

DEFAULT_ACCOUNT: tuple[Path, ...] = (
    ("consumer", "username"),
    ("consumer", "custom_id"),
    ("consumer", "id"),
    ("authenticated_entity", "consumer_id"),
    ("authenticated_entity", "id"),
)
_PLUGINS = ("proxy", "ai-proxy", "ai-proxy-advanced")


def adapter(options: Options) -> LineFormat:
    """The adapter; see the module for its options."""
    known_options("kong", options, {"account"})
    account = paths_option("kong", options, "account") or DEFAULT_ACCOUNT
    return LineFormat("kong", partial(_translate, account=account), 2 * MAX_RECORD_BYTES)


def _translate(entry: Json, account: tuple[Path, ...]) -> Json:
    if "request" not in entry and "started_at" not in entry:
        raise LineError("not a Kong log entry")
    ai = entry.get("ai")
    if not isinstance(ai, dict) or not ai:
        raise SkipError("no model call")
    part = next((ai[name] for name in _PLUGINS if isinstance(ai.get(name), dict)), ai)
    asked = unwrapped(dig(part, "payload", "request") or dig(ai, "payload", "request"))
    answered = unwrapped(dig(part, "payload", "response") or dig(ai, "payload", "response"))
    is_embedding = (
        dig(asked, "messages") is None and dig(asked, "prompt") is None and dig(asked, "input") is not None
    )
    source = next(
        (v for key in ("messages", "prompt", "input", "contents") if (v := dig(asked, key)) is not None),
        None,
    )
    said = conversation(source if isinstance(asked, dict) else asked)
    route = dig(entry, "request", "uri")
    return {
        "event_id": first_text((dig(entry, "request", "id"), _header(entry, "x-kong-request-id"))),
        "event_time": epoch_ms(entry.get("started_at"), "ms"),
        "account_id": first_text(dig(entry, *path) for path in account),
        "prompt": inputs_text(source) if is_embedding else said.prompt,
        "org_id": first_text((entry.get("workspace_name"), entry.get("workspace"))),
        "api_key_id": text(dig(entry, "authenticated_entity", "id")),
        "model": first_text(
            (
                dig(part, "meta", "request_model"),
                dig(asked, "model"),
                dig(part, "meta", "response_model"),
            )
        ),
        "endpoint": text(route.split("?")[0] if isinstance(route, str) else route),
        "user_agent": _header(entry, "user-agent"),
        "client_ip": text(entry.get("client_ip")),
        "turn_index": None if is_embedding else said.turn_index,
        "system_prompt": said.system_prompt or text(dig(asked, "system")),
        "tool_schema": tool_schema(dig(asked, "tools")),
        "response": None if is_embedding else response_text(answered),
        "temperature": number(dig(asked, "temperature")),
        "max_tokens": integer(dig(asked, "max_tokens") or dig(asked, "max_completion_tokens")),
        "prompt_tokens": _tokens(part, "prompt_tokens", "prompt_token"),
        "completion_tokens": _tokens(part, "completion_tokens", "completion_token"),
        "status": integer(dig(entry, "response", "status")),
        "latency_ms": number(dig(entry, "latencies", "request")),
    }


def _tokens(part: object, *names: str) -> object:
    found = (dig(part, "usage", name) for name in names)
    return integer(next((value for value in found if value is not None), None))


def _header(entry: Json, name: str) -> str | None:
    """A request header; one sent several times is a list, the first counts."""
    value = dig(entry, "request", "headers", name)
    return first_text(value if isinstance(value, list) else (value,))
