"""Envoy AI Gateway, Kong, Bedrock and Langfuse: realistic lines, in every known generation."""

from typing import Any

import orjson
import pytest

from pipelines.ingest.formats import get_format
from pipelines.ingest.formats.base import Converted


def convert(name: str, *entries: Any, **options: object) -> Converted:
    return get_format(name, options).convert([orjson.dumps(entry) for entry in entries])


def only(converted: Converted) -> dict[str, Any]:
    assert (converted.rejects, converted.skipped) == ([], [])
    (data,) = converted.records
    loaded: dict[str, Any] = orjson.loads(data)
    return loaded


ENVOY = {
    "start_time": "2026-11-24T22:18:55.123Z",
    "method": "POST",
    "x-envoy-origin-path": "/v1/chat/completions?x=1",
    "response_code": 200,
    "duration": 1234,
    "user-agent": "openai-python/2.1",
    "x-request-id": "5f8e0c6e-3b7f-4a8f-9f0e-1d2c3b4a5968",
    "x-forwarded-for": "198.51.100.9,10.1.2.3",
    "downstream_remote_address": "10.1.2.3:55012",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": "34",
    "session.id": "-",
    "user.id": "acct-1",
}


def test_envoy_default_format() -> None:
    assert only(convert("envoy", ENVOY)) == {
        "event_id": "5f8e0c6e-3b7f-4a8f-9f0e-1d2c3b4a5968",
        "event_time": "2026-11-24T22:18:55.123Z",
        "account_id": "acct-1",
        "model": "gpt-4o-mini",
        "endpoint": "/v1/chat/completions",
        "user_agent": "openai-python/2.1",
        "client_ip": "198.51.100.9",
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "status": 200,
        "latency_ms": 1234,
    }


def test_envoy_with_content_and_older_names() -> None:
    entry = {
        "start_time": "2026-11-24T22:18:55Z",
        "x-request-id": "r",
        "response_code": 0,
        "genai_model_name": "-",
        "genai_model_name_override": "m",
        "genai_tokens_input": "5",
        "downstream_remote_address": "[2001:db8::1]:443",
        "x-forwarded-for": "-",
        "caller": "team-x",
        "body": '{"model":"m","messages":[{"role":"user","content":"Why?"}]}',
    }
    found = only(convert("envoy", entry, account="caller", prompt="body"))
    assert (found["account_id"], found["prompt"], found["turn_index"], found["model"]) == (
        "team-x",
        "Why?",
        0,
        "m",
    )
    assert (found["prompt_tokens"], found["client_ip"]) == (5, "2001:db8::1")
    assert "status" not in found


def test_envoy_other_traffic() -> None:
    converted = convert("envoy", ENVOY | {"gen_ai.request.model": "-"}, {"a": 1})
    assert converted.skipped == [(0, "no model call")]
    assert converted.rejects == [(1, "not an Envoy access log entry")]


BODY = {
    "model": "gpt-4o",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
    "temperature": 0.3,
    "max_tokens": 9,
    "tools": [{"type": "function", "function": {"name": "f"}}],
}
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "So."}}]}
META = {"provider_name": "openai", "request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06"}
KONG = {
    "started_at": 1787113201719,
    "client_ip": "203.0.113.5",
    "consumer": {"id": "c0ffee", "username": "acme", "created_at": 1},
    "authenticated_entity": {"id": "key-1"},
    "workspace_name": "default",
    "request": {"id": "req-1", "uri": "/chat?a=b", "headers": {"user-agent": ["curl/8", "x"]}},
    "response": {"status": 200},
    "latencies": {"request": 812, "proxy": 800},
}
KONG_VERSIONS = {
    "3.6": {
        "payload": {"request": orjson.dumps(BODY).decode()},
        "meta": META,
        "usage": {"prompt_token": 3, "completion_token": 1, "total_tokens": 4},
    },
    "3.8": {
        "payload": {"request": orjson.dumps(BODY).decode()},
        "ai-proxy": {
            "payload": {"response": orjson.dumps(ANSWER).decode()},
            "meta": META,
            "usage": {"prompt_token": 3, "completion_token": 1, "total_tokens": 4},
        },
    },
    "3.10": {
        "proxy": {
            "payload": {"request": orjson.dumps(BODY).decode(), "response": orjson.dumps(ANSWER).decode()},
            "meta": META | {"llm_latency": 700},
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }
    },
}


@pytest.mark.parametrize("version", KONG_VERSIONS)
def test_kong_versions(version: str) -> None:
    expected = {
        "event_id": "req-1",
        "event_time": 1787113201719,
        "account_id": "acme",
        "org_id": "default",
        "api_key_id": "key-1",
        "prompt": "Why?",
        "turn_index": 0,
        "system_prompt": "Be brief.",
        "tool_schema": '[{"function":{"name":"f"},"type":"function"}]',
        "model": "gpt-4o",
        "endpoint": "/chat",
        "user_agent": "curl/8",
        "client_ip": "203.0.113.5",
        "temperature": 0.3,
        "max_tokens": 9,
        "prompt_tokens": 3,
        "completion_tokens": 1,
        "status": 200,
        "latency_ms": 812,
        "response": "So.",
    }
    if version == "3.6":
        del expected["response"]
    assert only(convert("kong", KONG | {"ai": KONG_VERSIONS[version]})) == expected


def test_kong_without_payloads_or_consumer() -> None:
    entry = {**KONG, "consumer": None, "ai": {"proxy": {"meta": META, "usage": {}}}}
    found = only(convert("kong", entry, account="authenticated_entity.id"))
    assert found["account_id"] == "key-1"
    assert "prompt" not in found


def test_kong_embeddings() -> None:
    payload = {"request": {"model": "e", "input": ["a lake", "a river"]}}
    found = only(convert("kong", KONG | {"ai": {"proxy": {"payload": payload}}}))
    assert found["prompt"] == "a lake\na river"
    assert "turn_index" not in found


def test_kong_other_traffic() -> None:
    converted = convert("kong", KONG, KONG | {"ai": {}}, {"x": 1})
    assert converted.skipped == [(0, "no model call"), (1, "no model call")]
    assert converted.rejects == [(2, "not a Kong log entry")]


BEDROCK = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2026-11-24T22:18:55Z",
    "accountId": "123456789012",
    "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/tenant-a/session-17"},
    "region": "us-east-1",
    "requestId": "915a6a04-3f83-4c70-a277-7fbf7ea546b3",
    "operation": "Converse",
    "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
    "input": {
        "inputContentType": "application/json",
        "inputBodyJson": {
            "messages": [
                {"role": "user", "content": [{"text": "What?"}]},
                {"role": "assistant", "content": [{"text": "That."}]},
                {"role": "user", "content": [{"text": "Why?"}]},
            ],
            "system": [{"text": "Be brief."}],
            "inferenceConfig": {"maxTokens": 99, "temperature": 0.1},
        },
        "inputTokenCount": 35,
    },
    "output": {
        "outputContentType": "application/json",
        "outputBodyJson": {
            "output": {"message": {"role": "assistant", "content": [{"text": "So."}]}},
            "metrics": {"latencyMs": 3640},
        },
        "outputTokenCount": 446,
    },
}


def test_bedrock_converse() -> None:
    assert only(convert("bedrock", BEDROCK)) == {
        "event_id": "915a6a04-3f83-4c70-a277-7fbf7ea546b3",
        "event_time": "2026-11-24T22:18:55Z",
        "account_id": "arn:aws:sts::123456789012:assumed-role/tenant-a",
        "org_id": "123456789012",
        "prompt": "Why?",
        "turn_index": 1,
        "system_prompt": "Be brief.",
        "model": "anthropic.claude-3-haiku-20240307-v1:0",
        "endpoint": "Converse",
        "response": "So.",
        "temperature": 0.1,
        "max_tokens": 99,
        "prompt_tokens": 35,
        "completion_tokens": 446,
        "status": 200,
        "latency_ms": 3640,
    }


ANTHROPIC = {
    "system": "Be brief.",
    "max_tokens": 7,
    "messages": [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "Nothing."}]},
    ],
}


@pytest.mark.parametrize(
    ("body", "answer", "prompt", "response"),
    [
        (ANTHROPIC, {"content": [{"type": "text", "text": "So."}]}, "Why?", "So."),
        (ANTHROPIC, [{"type": "x"}, {"delta": {"text": "S"}}, {"delta": {"text": "o."}}], "Why?", "So."),
        (
            {"inputText": "Why?", "textGenerationConfig": {"maxTokenCount": 7}},
            [{"outputText": "So."}],
            "Why?",
            "So.",
        ),
        ({"prompt": "Why?", "max_gen_len": 7}, {"generation": "So."}, "Why?", "So."),
        ({"message": "Why?", "max_tokens": 7}, {"text": "So."}, "Why?", "So."),
        (orjson.dumps(ANTHROPIC).decode(), '{"completion": "So."}', "Why?", "So."),
    ],
)
def test_bedrock_invoke_model(body: Any, answer: Any, prompt: str, response: str) -> None:
    entry = BEDROCK | {
        "operation": "InvokeModel",
        "input": {"inputBodyJson": body},
        "output": {"outputBodyJson": answer},
    }
    found = only(convert("bedrock", entry))
    assert (found["prompt"], found["response"], found["max_tokens"]) == (prompt, response, 7)


def test_bedrock_errors_large_bodies_and_cloudwatch() -> None:
    failed = {k: v for k, v in BEDROCK.items() if k != "output"} | {"errorCode": "ThrottlingException"}
    assert only(convert("bedrock", failed))["status"] == 429
    apart = BEDROCK | {"input": {"inputBodyS3Path": "s3://bucket/key", "inputTokenCount": 9}}
    assert "prompt" not in only(convert("bedrock", apart))
    event = {"id": "1", "timestamp": 1, "message": orjson.dumps(BEDROCK).decode()}
    assert only(convert("bedrock", event)) == only(convert("bedrock", BEDROCK))
    assert convert("bedrock", {"message": "{"}).rejects == [(0, "an embedded JSON string cannot be parsed")]


LANGFUSE = {
    "id": "obs-1",
    "trace_id": "trace-1",
    "type": "GENERATION",
    "start_time": "2026-11-24 13:46:19.963000",
    "user_id": "acct-1",
    "session_id": "session-1",
    "input": '[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}]',
    "output": '{"role":"assistant","content":"So."}',
    "provided_model_name": "gpt-4o",
    "model_parameters": '{"temperature":0.2,"max_tokens":9}',
    "usage_details": {"input": 3, "output": 1, "total": 4},
    "level": "DEFAULT",
    "latency": 1.5,
}


def test_langfuse_blob_export() -> None:
    assert only(convert("langfuse", LANGFUSE)) == {
        "event_id": "obs-1",
        "event_time": "2026-11-24T13:46:19.963000Z",
        "account_id": "acct-1",
        "conversation_id": "session-1",
        "prompt": "Why?",
        "turn_index": 0,
        "system_prompt": "Be brief.",
        "response": "So.",
        "model": "gpt-4o",
        "temperature": 0.2,
        "max_tokens": 9,
        "prompt_tokens": 3,
        "completion_tokens": 1,
        "status": 200,
        "latency_ms": 1500.0,
    }


def test_langfuse_api_names_and_plain_text() -> None:
    row = {
        "id": "o",
        "traceId": "t",
        "type": "GENERATION",
        "startTime": "2026-11-24T13:46:19.963Z",
        "userId": "acct-2",
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "output": "So.",
        "model": "m",
        "usage": {"promptTokens": 3, "completionTokens": 1},
        "level": "ERROR",
    }
    found = only(convert("langfuse", row))
    assert (found["account_id"], found["prompt"], found["response"], found["prompt_tokens"]) == (
        "acct-2",
        "Why?",
        "So.",
        3,
    )
    assert (found["event_time"], found["status"], found["conversation_id"]) == (
        "2026-11-24T13:46:19.963Z",
        500,
        "t",
    )


def test_langfuse_rows_that_are_no_calls() -> None:
    trace = {"id": "t", "timestamp": "2026-11-24 13:46:19.963000", "user_id": "u"}
    converted = convert("langfuse", LANGFUSE | {"type": "SPAN"}, trace, {"z": 1}, LANGFUSE | {"type": ["x"]})
    assert converted.skipped == [(0, "no model call"), (1, "no model call"), (3, "no model call")]
    assert converted.rejects == [(2, "not a Langfuse observation")]
