"""OpenTelemetry: joining, searching for the account, and shapes that the recordings do not show."""

from typing import Any

import orjson
import pytest

from pipelines.ingest.formats import get_format
from pipelines.ingest.formats.base import Converted

TRACE = "a" * 32


def value(plain: object) -> dict[str, Any]:
    """Encode plain JSON as an OTLP AnyValue."""
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": attributes(plain)}}
    return {"stringValue": plain}


def attributes(plain: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(inner)} for key, inner in plain.items()]


def span(identity: str, parent: str = "", **more: Any) -> dict[str, Any]:
    plain = more.pop("attributes", {})
    times = {"startTimeUnixNano": "1795558989407045713", "endTimeUnixNano": "1795558989420045713"}
    return (
        {"traceId": TRACE, "spanId": identity, "parentSpanId": parent, "attributes": attributes(plain)}
        | times
        | more
    )


def log(
    identity: str, event: str, body: Any, at: int = 1, plain: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": identity,
        "eventName": event,
        "observedTimeUnixNano": str(1795558989407045713 + at),
        "body": value(body),
        "attributes": attributes(plain or {}),
    }


def spans(*entries: dict[str, Any], **resource: Any) -> bytes:
    block = {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"spans": list(entries)}]}
    return orjson.dumps({"resourceSpans": [block]})


def logs(*entries: dict[str, Any]) -> bytes:
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(entries)}]}]})


def convert(*lines: bytes, **options: object) -> Converted:
    return get_format("otel", options).convert(lines)


def only(converted: Converted) -> dict[str, Any]:
    assert converted.rejects == []
    (data,) = converted.records
    loaded: dict[str, Any] = orjson.loads(data)
    return loaded


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "user.id": "u"}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]


def test_a_call_in_one_span() -> None:
    plain = CHAT | {
        "gen_ai.input.messages": orjson.dumps(ASKED).decode(),
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"So."}]}]',
        "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.conversation.id": "c",
    }
    assert only(convert(spans(span("1", attributes=plain)))) == {
        "event_id": f"{TRACE}:1",
        "event_time": 1795558989407,
        "account_id": "u",
        "prompt": "Why?",
        "turn_index": 0,
        "system_prompt": "Be brief.",
        "response": "So.",
        "model": "m",
        "endpoint": "chat",
        "conversation_id": "c",
        "temperature": 0.5,
        "prompt_tokens": 3,
        "status": 200,
        "latency_ms": 13.0,
    }


@pytest.mark.parametrize("turned", [False, True])
def test_older_events_join_their_span_in_either_order(turned: bool) -> None:
    lines = [
        logs(log("1", "gen_ai.choice", {"message": {"content": "So."}}, 9)),
        logs(
            log("1", "gen_ai.user.message", {"content": "And why?"}, 5),
            log("1", "gen_ai.user.message", {"content": "What?"}, 2),
            log("1", "gen_ai.assistant.message", {"content": "That."}, 3),
        ),
        spans(span("1", attributes=CHAT)),
    ]
    converted = convert(*(lines[::-1] if turned else lines))
    found = only(converted)
    assert (found["prompt"], found["turn_index"], found["response"]) == ("And why?", 1, "So.")
    assert converted.origins == [0 if turned else 2]
    assert {reason for _, reason in converted.skipped} == {"joined to a call on another line"}
    assert len(converted.skipped) == 2


def test_event_name_as_attribute_and_content_as_text() -> None:
    entry = log("1", "", "Why?") | {"attributes": attributes({"event.name": "gen_ai.user.message"})}
    assert only(convert(logs(entry), spans(span("1", attributes=CHAT))))["prompt"] == "Why?"


def test_details_event_without_its_span_is_a_call() -> None:
    event = "gen_ai.client.inference.operation.details"
    found = only(convert(logs(log("1", event, {}, 1, CHAT | {"gen_ai.input.messages": ASKED}))))
    assert (found["prompt"], found["account_id"], found["model"]) == ("Why?", "u", "m")
    assert "status" not in found


def test_events_without_their_span_are_ordered_by_time() -> None:
    entries = [
        log("1", "gen_ai.user.message", {"content": "Last?"}, 7),
        log("1", "gen_ai.assistant.message", {"content": "That."}, 5),
        log("1", "gen_ai.user.message", {"content": "First?"}, 3),
    ]
    found = only(convert(logs(*entries)))
    assert (found["prompt"], found["turn_index"]) == ("Last?", 1)


def test_an_answer_without_its_question_is_no_call() -> None:
    converted = convert(logs(log("1", "gen_ai.choice", {"message": {"content": "So."}})))
    assert converted.records == []
    assert converted.skipped == [(0, "joined to a call on another line")]


def test_a_span_without_its_events_is_a_record_without_a_prompt() -> None:
    assert "prompt" not in only(convert(spans(span("1", attributes=CHAT))))


def test_events_under_a_span_that_is_no_model_span() -> None:
    line = spans(span("1", attributes={"user.id": "u"}, kind=2))
    found = only(convert(line, logs(log("1", "gen_ai.user.message", {"content": "Why?"}))))
    assert (found["prompt"], found["account_id"]) == ("Why?", "u")


def test_flattened_attributes_in_any_order_and_with_parts_as_text() -> None:
    plain = CHAT | {
        "gen_ai.prompt.10.content": '[{"type":"text","text":"Last?"}]',
        "gen_ai.prompt.10.role": "user",
        "gen_ai.prompt.2.content": "Noted.",
        "gen_ai.prompt.2.role": "assistant",
        "gen_ai.prompt.1.content": "First?",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.completion.0.content": "So.",
    }
    found = only(convert(spans(span("1", attributes=plain))))
    assert (found["prompt"], found["turn_index"], found["system_prompt"], found["response"]) == (
        "Last?",
        1,
        "Be brief.",
        "So.",
    )


def test_span_events() -> None:
    event = {
        "name": "gen_ai.content.prompt",
        "attributes": attributes({"gen_ai.prompt": orjson.dumps(ASKED).decode()}),
    }
    assert only(convert(spans(span("1", attributes=CHAT, events=[event]))))["prompt"] == "Why?"
    event = {"name": "gen_ai.user.message", "attributes": attributes({"content": "Why not?"})}
    assert only(convert(spans(span("1", attributes=CHAT, events=[event]))))["prompt"] == "Why not?"


MODEL_ONLY = {"gen_ai.request.model": "m", "gen_ai.input.messages": ASKED}


def test_account_from_an_ancestor_on_another_line() -> None:
    server = span(
        "s",
        attributes={"enduser.id": "boss", "client.address": "203.0.113.7", "user_agent.original": "cli/1"},
    )
    found = only(
        convert(
            spans(span("1", "m", attributes=MODEL_ONLY)), spans(span("m", "s", attributes={})), spans(server)
        )
    )
    assert (found["account_id"], found["client_ip"], found["user_agent"]) == ("boss", "203.0.113.7", "cli/1")


def test_the_servers_word_goes_before_the_callers_baggage() -> None:
    child = span("1", "s", attributes=MODEL_ONLY | {"user.id": "spoofed"})
    assert only(convert(spans(child, span("s", attributes={"enduser.id": "boss"}))))["account_id"] == "boss"


def test_account_from_resource_and_by_option() -> None:
    line = spans(span("1", attributes=MODEL_ONLY | {"tenant": "t"}), **{"user.id": "service"})
    assert only(convert(line))["account_id"] == "service"
    assert only(convert(line, account="nothing,tenant"))["account_id"] == "t"


def test_parents_in_a_circle_end() -> None:
    lines = spans(
        span("1", "2", attributes=MODEL_ONLY), span("2", "1", attributes={}), span("3", "3", attributes={})
    )
    assert "account_id" not in only(convert(lines))


def test_a_framework_around_a_client_is_one_call() -> None:
    inner = span("2", "1", attributes=MODEL_ONLY | {"gen_ai.operation.name": "chat"})
    outer = span("1", "0", attributes=CHAT | {"gen_ai.input.messages": ASKED})
    found = only(convert(spans(inner), spans(outer)))
    assert (found["event_id"], found["account_id"]) == (f"{TRACE}:2", "u")


@pytest.mark.parametrize("operation", ["execute_tool", "invoke_agent", "create_agent"])
def test_agents_and_tools_are_no_calls(operation: str) -> None:
    converted = convert(
        spans(span("1", attributes={"gen_ai.operation.name": operation, "gen_ai.request.model": "m"}))
    )
    assert (converted.records, converted.skipped) == ([], [(0, "no model call")])


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("RateLimitError", 429),
        ("openai.RateLimitError", 429),
        ("<class 'openai.BadRequestError'>", 400),
        ("503", 503),
        ("odd", 500),
    ],
)
def test_errors(kind: str, status: int) -> None:
    line = spans(span("1", attributes=MODEL_ONLY | {"error.type": kind}, status={"code": 2}))
    assert only(convert(line))["status"] == status


def test_metrics_other_spans_and_strangers() -> None:
    converted = convert(
        b'{"resourceMetrics":[]}',
        spans(span("1")),
        b'{"resourceSpans":{}}',
        b'{"a":1}',
        b"[]",
        spans(),
        logs(),
    )
    assert converted.records == []
    assert converted.skipped == [
        (0, "metrics"),
        (1, "no model call"),
        (5, "no model call"),
        (6, "no model call"),
    ]
    assert converted.rejects == [
        (2, "not an OTLP export"),
        (3, "not an OTLP export"),
        (4, "not a JSON object"),
    ]


def test_embedding_inputs_are_no_turns() -> None:
    plain = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.prompt.0.content": "A lake.",
        "gen_ai.prompt.1.content": "A river.",
    }
    found = only(convert(spans(span("1", attributes=plain))))
    assert found["prompt"] == "A lake.\nA river."
    assert "turn_index" not in found


def test_base64_content_is_not_text() -> None:
    parts = [
        {"type": "blob", "content": "AAAA", "modality": "image"},
        {"type": "text", "content": "What is this?"},
    ]
    plain = CHAT | {"gen_ai.input.messages": [{"role": "user", "parts": parts}]}
    assert only(convert(spans(span("1", attributes=plain))))["prompt"] == "What is this?"
