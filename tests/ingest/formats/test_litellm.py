"""LiteLLM payloads: traps that the recordings do not show."""

from typing import Any

import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.ingest.formats import get_format
from pipelines.ingest.formats.base import Converted

PAYLOAD: dict[str, Any] = {
    "id": "chatcmpl-1",
    "litellm_call_id": "call-1",
    "trace_id": "trace-1",
    "session_id": "",
    "call_type": "acompletion",
    "status": "success",
    "startTime": 1795558736.44038,
    "response_time": 0.25,
    "model": "openai/gpt-4o",
    "model_group": "gpt-4o",
    "metadata": {
        "user_api_key_user_id": "user-1",
        "user_api_key_hash": "hash-1",
        "user_api_key_team_id": "team-1",
    },
    "end_user": "customer-9",
    "requester_ip_address": "198.51.100.4, 10.0.0.1",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "Scattering."}}]},
    "model_parameters": {"max_tokens": 5},
    "prompt_tokens": 7,
    "completion_tokens": 2,
}


def convert(options: dict[str, object] | None = None, **changes: Any) -> Converted:
    return get_format("litellm", options or {}).convert([orjson.dumps(PAYLOAD | changes)])


def record(options: dict[str, object] | None = None, **changes: Any) -> dict[str, Any]:
    converted = convert(options, **changes)
    assert (converted.rejects, converted.skipped, converted.origins) == ([], [], [0])
    loaded: dict[str, Any] = orjson.loads(converted.records[0])
    return loaded


def test_a_plain_call() -> None:
    assert record() == {
        "event_id": "call-1",
        "event_time": 1795558736440,
        "account_id": "user-1",
        "org_id": "team-1",
        "api_key_id": "hash-1",
        "prompt": "Why is the sky blue?",
        "turn_index": 0,
        "model": "gpt-4o",
        "endpoint": "acompletion",
        "conversation_id": "trace-1",
        "client_ip": "198.51.100.4",
        "response": "Scattering.",
        "max_tokens": 5,
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "status": 200,
        "latency_ms": 250.0,
    }


@pytest.mark.parametrize(
    ("metadata", "account"),
    [
        ({"user_api_key_user_id": "u", "user_api_key_hash": "h"}, "u"),
        ({"user_api_key_user_id": None, "user_api_key_hash": "h", "user_api_key_team_id": "t"}, "h"),
        ({"user_api_key_user_id": "", "user_api_key_team_id": "t"}, "t"),
        ({"user_api_key_org_id": "o"}, "o"),
        ({"user_api_key_user_id": "default_user_id", "user_api_key_hash": "h"}, "customer-9"),
        ({"user_api_key_user_id": "redacted", "user_api_key_hash": "h"}, "h"),
    ],
)
def test_who_is_billed(metadata: dict[str, Any], account: str) -> None:
    assert record(metadata=metadata)["account_id"] == account


def test_the_master_key_without_end_user_is_one_account() -> None:
    metadata = {"user_api_key_user_id": "default_user_id", "user_api_key_hash": "h"}
    assert record(metadata=metadata, end_user=None)["account_id"] == "h"


def test_the_callers_own_word_counts_only_on_request() -> None:
    assert record({"account": "end_user,metadata.user_api_key_hash"})["account_id"] == "customer-9"
    assert record({"account": ["metadata.user_api_key_hash"]})["account_id"] == "hash-1"


def test_no_identity_leaves_the_account_absent() -> None:
    assert "account_id" not in record(metadata={}, end_user=None)


@pytest.mark.parametrize("word", ["redacted-by-litellm", "default-message-value", "[REDACTED]", "  ", ""])
@pytest.mark.parametrize(
    "wrap", [str, lambda w: [{"role": "user", "content": w}], lambda w: {"role": "user", "content": w}]
)
def test_placeholders_are_no_shared_prompt(word: str, wrap: Any) -> None:
    found = record(messages=wrap(word))
    assert "prompt" not in found
    assert "turn_index" not in found


@pytest.mark.parametrize(
    "messages", ["Why?", [{"role": "user", "content": "Why?"}], {"role": "user", "content": "Why?"}]
)
def test_messages_may_be_text_list_or_object(messages: Any) -> None:
    assert record(messages=messages)["prompt"] == "Why?"


@pytest.mark.parametrize(
    "messages", [None, [], {}, 5, [None, 3], [[]], [{"role": "user"}], [{"role": ["user"], "type": {}}]]
)
def test_messages_without_a_prompt(messages: Any) -> None:
    assert "prompt" not in record(messages=messages)


def test_a_refused_key_is_skipped_but_a_known_one_is_a_failure() -> None:
    error = {"error_code": "401"}
    nobody = convert(
        status="failure", error_information=error, metadata={"user_api_key_hash": "h"}, end_user=None
    )
    assert (nobody.records, nobody.rejects, nobody.skipped) == ([], [], [(0, "key refused, no account")])
    known = record(status="failure", error_information=error)
    assert (known["status"], known["event_id"]) == (401, "call-1/failed")


def test_a_failure_without_a_numeric_code_is_still_a_failure() -> None:
    assert record(status="failure", error_information={"error_code": "overloaded"})["status"] == 500


def test_a_continued_response_has_no_known_turn() -> None:
    found = record(
        call_type="aresponses", messages="And then?", model_parameters={"previous_response_id": "resp_1"}
    )
    assert found["prompt"] == "And then?"
    assert "turn_index" not in found


def test_nonsense_is_handed_on_for_the_decoder_to_name() -> None:
    found = record(prompt_tokens="many", startTime="yesterday")
    assert (found["prompt_tokens"], found["event_time"]) == ("many", "yesterday")


def test_other_objects_are_rejected() -> None:
    converted = get_format("litellm", {}).convert([b'{"hello": 1}', b"[]", b"[1]", b"7"])
    assert converted.rejects == [
        (0, "not a LiteLLM standard logging payload"),
        (2, "not a JSON object"),
        (3, "not a JSON object"),
    ]
    assert converted.skipped == [(1, "empty batch")]


@pytest.mark.parametrize(
    "options", [{"acount": "x"}, {"account": ""}, {"account": []}, {"account": "a..b"}, {"account": 3}]
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^(Option|Format) .*\.$"):
        get_format("litellm", options)
