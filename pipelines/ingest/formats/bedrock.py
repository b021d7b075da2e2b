"""Amazon Bedrock's model invocation logs (S3 objects and CloudWatch messages; schemaType ModelInvocationLog).

Belongs here: its envelope, and the bodies of InvokeModel, which follow each model's own API, and of Converse.
There is no client address and no user agent. A body over 100 KB is delivered apart, as an S3 path: such a
record has no prompt.

The principal is `identity.arn`; a session of an assumed role ends in the session's name, which applications
choose freely, so by default the role counts and the session is dropped.

Options: `account`: field paths tried in order, for example ["requestMetadata.customer", "identity.arn"].
"""

from functools import partial

from pipelines.ingest.formats.base import Json, LineFormat, Options
from pipelines.ingest.formats.lines import LineError, load_text, unwrapped
from pipelines.ingest.formats.messages import (
    Conversation,
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

DEFAULT_ACCOUNT: tuple[Path, ...] = (("identity", "arn"), ("accountId",))
_LIMITS: tuple[Path, ...] = (
    ("inferenceConfig", "maxTokens"),
    ("max_tokens",),
    ("max_tokens_to_sample",),
    ("max_gen_len",),
    ("textGenerationConfig", "maxTokenCount"),
)
_TEMPERATURES: tuple[Path, ...] = (
    ("inferenceConfig", "temperature"),
    ("temperature",),
    ("textGenerationConfig", "temperature"),
)
_STATUS_OF_ERROR = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ThrottlingException": 429,
    "ServiceUnavailableException": 503,
}
_ANSWERS = (
    "outputText",
    "generation",
    "completion",
    "text",
    "outputs",
    "results",
    "generations",
)


def adapter(options: Options) -> LineFormat:
    """The adapter; see the module for its options."""
    known_options("bedrock", options, {"account"})
    account = paths_option("bedrock", options, "account") or DEFAULT_ACCOUNT
    return LineFormat("bedrock", partial(_translate, account=account), 2 * MAX_RECORD_BYTES)


def _translate(entry: Json, account: tuple[Path, ...]) -> Json:
    if isinstance(entry.get("message"), str) and "requestId" not in entry:
        inner = load_text(str(entry["message"]))  # a CloudWatch event around the record
        entry = inner if isinstance(inner, dict) else {}
    if entry.get("schemaType") != "ModelInvocationLog" and not ("modelId" in entry and "requestId" in entry):
        raise LineError("not a Bedrock invocation log")
    asked = unwrapped(dig(entry, "input", "inputBodyJson"))
    is_embedding = isinstance(entry.get("modelId"), str) and "embed" in str(entry["modelId"])
    said = _said(asked)
    failed = first_text((entry.get("errorCode"),))
    return {
        "event_id": text(entry.get("requestId")),
        "event_time": epoch_ms(entry.get("timestamp"), "ms"),
        "account_id": _principal(first_text(dig(entry, *path) for path in account)),
        "prompt": inputs_text(_embedding_inputs(asked)) if is_embedding else said.prompt,
        "org_id": text(entry.get("accountId")),
        "model": text(entry.get("modelId")),
        "endpoint": text(entry.get("operation")),
        "turn_index": None if is_embedding else said.turn_index,
        "system_prompt": said.system_prompt,
        "tool_schema": tool_schema(dig(asked, "toolConfig", "tools") or dig(asked, "tools")),
        "response": None if is_embedding else _answer(unwrapped(dig(entry, "output", "outputBodyJson"))),
        "temperature": number(_first(asked, _TEMPERATURES)),
        "max_tokens": integer(_first(asked, _LIMITS)),
        "prompt_tokens": integer(dig(entry, "input", "inputTokenCount")),
        "completion_tokens": integer(dig(entry, "output", "outputTokenCount")),
        "status": _status(failed),
        "latency_ms": number(dig(entry, "output", "outputBodyJson", "metrics", "latencyMs")),
    }


def _said(asked: object) -> Conversation:
    """The conversation of a body: `messages` (Converse, Anthropic, Nova), or the bare prompt of older models.

    A bare prompt may hold a whole transcript, so its turn is not known.
    """
    messages = dig(asked, "messages")
    if messages is not None:
        said = conversation(messages)
        system = response_text(dig(asked, "system"))
        return Conversation(said.prompt, said.turn_index, system or said.system_prompt)
    bare = first_text(dig(asked, name) for name in ("inputText", "prompt", "message"))
    return Conversation(conversation(bare).prompt) if bare else Conversation()


def _embedding_inputs(asked: object) -> object:
    return next(
        (value for name in ("inputText", "texts", "input") if (value := dig(asked, name)) is not None),
        None,
    )


def _answer(body: object) -> str | None:
    """The text of an answer; a streamed one is a list of chunks in its model's own shape."""
    if isinstance(body, list):
        pieces = [_chunk(piece) for piece in body]
        return "".join(pieces) or None
    found = response_text(body)
    return found or next((one for name in _ANSWERS if (one := response_text(dig(body, name)))), None)


def _chunk(piece: object) -> str:
    paths: tuple[Path, ...] = (
        ("delta", "text"),
        ("contentBlockDelta", "delta", "text"),
        ("outputText",),
        ("generation",),
        ("completion",),
    )
    return first_text(dig(piece, *path) for path in paths) or ""


def _first(asked: object, paths: tuple[Path, ...]) -> object:
    return next((value for path in paths if (value := dig(asked, *path)) is not None), None)


def _principal(arn: str | None) -> str | None:
    if arn and ":assumed-role/" in arn:
        return "/".join(arn.split("/")[:2])
    return arn


def _status(error: str | None) -> int:
    return 200 if error is None else _STATUS_OF_ERROR.get(error, 500)
