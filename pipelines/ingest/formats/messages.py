"""From a logged conversation to what the request record keeps: last user turn, turn index, system prompt,
answer.

Belongs here: the message shapes of OpenAI (chat, Responses), Anthropic, Gemini, Bedrock Converse and
OpenTelemetry, which differ little. Not here: where a log keeps them.

A *user turn* is a run of user messages with no answer between them; messages that carry only tool results are
no user turn. The prompt is the text of the last one; every call of a conversation resends the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.ingest.formats.lines import LineError, load_text
from pipelines.ingest.formats.values import canonical, dig, is_placeholder

_USER = frozenset({"user", "human"})
_SYSTEM = frozenset({"system", "developer"})
_TOOL_PARTS = frozenset(
    {
        "tool_result",
        "toolResult",
        "tool_call_response",
        "function_call_output",
        "functionResponse",
    }
)
_NOT_TEXT = frozenset(
    {"blob", "uri", "file", "image", "image_url", "reasoning", "thinking", "tool_call", "tool_use"}
)
"""Parts whose `content` or `text` is not what was said (base64 data, hidden thoughts, arguments)."""
_MAX_NESTING = 16


@dataclass(frozen=True)
class Conversation:
    """What is known of one call's input; None = not recorded (also when redacted)."""

    prompt: str | None = None
    turn_index: int | None = None
    system_prompt: str | None = None


def conversation(messages: object) -> Conversation:
    """Read the input of a call.

    messages: a list of messages, one message, a bare prompt, or any of these as a JSON string.
    """
    if isinstance(messages, str):
        parsed = _embedded(messages)
        if parsed is None:
            return Conversation(None if is_placeholder(messages) else messages, _turn(messages))
        messages = parsed
    if isinstance(messages, dict):
        messages = messages["messages"] if isinstance(messages.get("messages"), list) else [messages]
    if not isinstance(messages, list):
        return Conversation()
    turns: list[list[str]] = []
    system: list[str] = []
    answered = True
    for message in messages:
        role = _role(message)
        content = content_text(message)
        if role in _SYSTEM:
            system.append(content)
        elif role in _USER and not _is_tool_result(message):
            if answered:
                turns.append([])
            turns[-1].append(content)
            answered = False
        else:
            answered = True
    prompt = _joined(turns[-1]) if turns else None
    return Conversation(prompt, len(turns) - 1 if prompt is not None else None, _joined(system))


def inputs_text(messages: object) -> str | None:
    """All inputs of a call whose inputs are no turns (embeddings), one per line."""
    items = messages if isinstance(messages, list) else [messages]
    return _joined(content_text(item) for item in items)


def content_text(value: object, depth: int = 0) -> str:
    """The text of a message, a part, or a list of parts; images, reasoning and tool calls give nothing."""
    if isinstance(value, str):
        return value
    if depth > _MAX_NESTING:
        return ""
    if isinstance(value, list):
        return "\n".join(filter(None, (content_text(part, depth + 1) for part in value)))
    if not isinstance(value, dict) or _is_tool_part(value) or _type(value) in _NOT_TEXT:
        return ""
    for key in ("text", "content", "parts"):
        if isinstance(value.get(key), str | list):
            return content_text(value[key], depth + 1)
    return ""


def response_text(response: object) -> str | None:
    """The text of an answer, whatever API gave it; None when there is none or it is redacted."""
    if isinstance(response, str):
        response = _embedded(response) or response
    if isinstance(response, str):
        return None if is_placeholder(response) else response
    choices = dig(response, "choices")
    if isinstance(choices, list):
        picks = (_first(choice, "message", "text") for choice in choices)
        return _joined(content_text(pick) for pick in picks)
    for path in (
        ("output", "message"),
        ("output",),
        ("message",),
        ("content",),
        ("parts",),
        ("completion",),
        ("generation",),
    ):
        if found := content_text(dig(response, *path)):
            return None if is_placeholder(found) else found
    return _joined(content_text(item) for item in response) if isinstance(response, list) else None


def tool_schema(tools: object) -> str | None:
    """The tools offered to the model as canonical JSON (it is only hashed)."""
    return canonical(tools) if isinstance(tools, str | list | dict) else None


def _first(value: object, *keys: str) -> object:
    return (
        next((value[key] for key in keys if value.get(key) is not None), None)
        if isinstance(value, dict)
        else value
    )


def _role(message: object) -> str:
    """The role in lower case; a bare string, and an item with text but no role, is the user's."""
    if isinstance(message, str):
        return "user"
    if not isinstance(message, dict):
        return ""
    role = message.get("role")
    if isinstance(role, str):
        return role.lower()
    return "user" if message.get("type") in (None, "text", "input_text") else ""


def _is_tool_result(message: object) -> bool:
    parts = _first(message, "content", "parts")
    if not isinstance(parts, list) or not parts:
        return False
    return all(isinstance(part, dict) and _is_tool_part(part) for part in parts)


def _is_tool_part(part: dict[str, object]) -> bool:
    return _type(part) in _TOOL_PARTS or not _TOOL_PARTS.isdisjoint(part)


def _type(part: dict[str, object]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _joined(texts: Iterable[str]) -> str | None:
    return "\n".join(one for one in texts if not is_placeholder(one)) or None


def _turn(prompt: str) -> int | None:
    return None if is_placeholder(prompt) else 0


def _embedded(value: str) -> object:
    """The messages inside a JSON string; None when the string is just a prompt (which may look like JSON)."""
    if value[:1] not in ("[", "{"):
        return None
    try:
        parsed = load_text(value)
    except LineError:
        return None
    items = parsed if isinstance(parsed, list) else [parsed]
    known = ("role", "messages", "choices", "parts", "content", "output")
    return (
        parsed
        if items and all(isinstance(item, dict) and any(key in item for key in known) for item in items)
        else None
    )
