"""The request record: one LLM API call, one JSON object per Kafka message or line.

Belongs here: fields, types, bounds, and the JSON Schema derived from them. Decoding is in
`pipelines.ingest.decode`.
"""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "time", "integer", "number", "vector"]

MAX_RECORD_BYTES = 1 << 20
MAX_PROMPT_BYTES = 256 << 10
MAX_ID_BYTES = 1024
MAX_DEPTH = 64
MAX_FUTURE_MS = 24 * 3600 * 1000
MIN_TIME_MS = 946_684_800_000
"""2000-01-01; an earlier time is seconds mistaken for milliseconds, or nonsense."""

PLACEHOLDERS: tuple[str, ...] = (
    "[redacted]",
    "redacted",
    "<redacted>",
    "***",
    "redacted-by-litellm",
    "default-message-value",
    "[removed]",
    "[filtered]",
    "null",
    "none",
    "n/a",
    "unknown",
    "-",
)
"""Values (compared in lower case) of optional text fields and prompts that mean: not recorded."""


@dataclass(frozen=True)
class RequestField:
    """One field of the record. minimum and maximum are bounds of numbers, max_bytes of text."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    max_bytes: int = MAX_ID_BYTES
    minimum: float | None = None
    maximum: float | None = None


_TOKENS_MAX = float(2**31 - 1)
_LATENCY_MAX = float(2**33)
"""Over three months in ms. Larger numbers are nonsense, and a few thousand of them would overflow a sum."""

FIELDS: tuple[RequestField, ...] = (
    RequestField(
        "event_id",
        "text",
        "unique per call; a repeat within the de-duplication horizon changes nothing",
        True,
    ),
    RequestField("event_time", "time", "when the call was made", True),
    RequestField("account_id", "text", "the billed principal", True),
    RequestField(
        "prompt", "text", "the last user turn; required unless prompt_embedding", max_bytes=MAX_PROMPT_BYTES
    ),
    RequestField("org_id", "text", "organisation of the account"),
    RequestField("api_key_id", "text", "which key of the account was used"),
    RequestField("plan", "text", "commercial plan"),
    RequestField("model", "text", "model asked for"),
    RequestField("endpoint", "text", "API surface, such as chat or embeddings"),
    RequestField("conversation_id", "text", "ties the turns of a conversation"),
    RequestField("user_agent", "text", "client software"),
    RequestField("client_ip", "text", "address of the client; kept as a keyed hash of its /24 or /48"),
    RequestField("tls_fingerprint", "text", "for example JA4"),
    RequestField("payment_fingerprint", "text", "fingerprint of the means of payment"),
    RequestField("account_created_at", "time", "when the account was opened"),
    RequestField("turn_index", "integer", "0 = first turn of a conversation", minimum=0, maximum=2**31 - 1),
    RequestField("system_prompt", "text", "hashed at once, never stored", max_bytes=MAX_RECORD_BYTES),
    RequestField("tool_schema", "text", "hashed at once, never stored", max_bytes=MAX_RECORD_BYTES),
    RequestField("response", "text", "only hashed shingles are used", max_bytes=MAX_RECORD_BYTES),
    RequestField("prompt_embedding", "vector", "used instead of the fitted map when present"),
    RequestField("temperature", "number", "sampling temperature", minimum=0, maximum=100),
    RequestField("max_tokens", "integer", "limit asked for", minimum=0, maximum=_TOKENS_MAX),
    RequestField("prompt_tokens", "integer", "tokens in", minimum=0, maximum=_TOKENS_MAX),
    RequestField("completion_tokens", "integer", "tokens out", minimum=0, maximum=_TOKENS_MAX),
    RequestField("status", "integer", "HTTP status", minimum=0, maximum=999),
    RequestField("latency_ms", "number", "time to the last token", minimum=0, maximum=_LATENCY_MAX),
)

FIELD_INDEX: dict[str, int] = {field.name: index for index, field in enumerate(FIELDS)}


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the record."""
    kinds: dict[Kind, dict[str, Any]] = {
        "text": {"type": "string"},
        "time": {
            "oneOf": [
                {"type": "integer", "minimum": MIN_TIME_MS},
                {"type": "string", "format": "date-time"},
            ]
        },
        "integer": {"type": "integer"},
        "number": {"type": "number"},
        "vector": {"type": "array", "items": {"type": "number"}, "minItems": 1},
    }
    properties: dict[str, Any] = {}
    for field in FIELDS:
        entry = dict(kinds[field.kind])
        entry["description"] = field.meaning
        if field.kind == "text" and field.required:
            entry["minLength"] = 1
        if field.kind in ("integer", "number"):
            entry |= {"minimum": field.minimum, "maximum": field.maximum}
        if not field.required:
            entry = {"anyOf": [entry, {"type": "null"}], "description": field.meaning}
        properties[field.name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scarecrow request record",
        "description": "One LLM API call. Unknown fields are ignored.",
        "type": "object",
        "properties": properties,
        "required": [field.name for field in FIELDS if field.required],
        "anyOf": [{"required": ["prompt"]}, {"required": ["prompt_embedding"]}],
    }
