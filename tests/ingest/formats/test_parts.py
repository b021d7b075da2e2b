"""Lines, values, paths and messages: the parts that all adapters share."""

from typing import Any

import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.ingest.formats import FORMATS, get_format, guess_format
from pipelines.ingest.formats.base import Converted
from pipelines.ingest.formats.lines import LineError, load_line, load_text
from pipelines.ingest.formats.messages import Conversation, conversation, inputs_text, response_text
from pipelines.ingest.formats.paths import PathError, parse_path
from pipelines.ingest.formats.values import dig, epoch_ms, first_text, integer, is_placeholder, number, text

USER = {"role": "user", "content": "Why?"}
DONE = {"role": "assistant", "content": "So."}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty line"),
        (b" \r", "empty line"),
        (b"{", "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":1' + b"0" * 400 + b"}", "not JSON"),
        (b"5", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"a":"' + b"x" * (1 << 20) + b'"}', "line too long"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deep"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 5_000 + b"]" * 5_000, "not JSON"),
        (b'{"a":"\\ud800"}', "not JSON"),
    ],
)
def test_lines_that_cannot_be_read(line: bytes, reason: str) -> None:
    with pytest.raises(LineError, match=f"^{reason}$"):
        load_line(line)


def test_lines_that_can() -> None:
    assert load_line(b'{"a":' * 64 + b"1" + b"}" * 64)
    assert load_line(b'{"a":1,"a":2}') == {"a": 2}
    assert load_line(b'{"a":"' + b"[{" * 100 + b'"}') == {"a": "[{" * 100}
    assert load_line(b'{"a":1' + b"0" * 40 + b"}") == {"a": 1e40}
    assert load_line(b'[{"a":1}]') == [{"a": 1}]


def test_embedded_json_is_bounded_too() -> None:
    with pytest.raises(LineError, match="nested too deep"):
        load_text("[" * 65 + "]" * 65)
    with pytest.raises(LineError, match="cannot be parsed"):
        load_text("[" * 5000)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ("a[0].b", ("a", 0, "b")),
        ("a[-1][2]", ("a", -1, 2)),
        ("a['x.y'].b", ("a", "x.y", "b")),
        ('["x.y"]', ("x.y",)),
        ("$.a.b", ("a", "b")),
        ("$['a b']", ("a b",)),
        ("user-agent", ("user-agent",)),
        ("[0].id", (0, "id")),
    ],
)
def test_paths(path: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", "$", ".", ".a", "a.", "a..b", "a[", "a[x]", "a[]", "a['x'", "a]", "a[0", "a.$b"]
)
def test_wrong_paths(path: str) -> None:
    with pytest.raises(PathError):
        parse_path(path)


def test_a_value_that_json_cannot_carry_is_a_reject() -> None:
    converted = Converted()
    converted.add(3, {"max_tokens": 1 << 70})
    assert (converted.records, converted.rejects) == ([], [(3, "a value cannot be written as JSON")])


def test_dig() -> None:
    tree = {"a": [{"b": 1}, {"b": 2}], "n": None}
    assert dig(tree, "a", -1, "b") == 2
    assert [dig(tree, "a", 2), dig(tree, "a", -3), dig(tree, "n", "x"), dig(tree, "a", "b"), dig(5, 0)] == [
        None
    ] * 5


@pytest.mark.parametrize(
    ("raw", "as_text", "as_integer", "as_number"),
    [
        ("abc", "abc", "abc", "abc"),
        (7, "7", 7, 7),
        (7.0, 7.0, 7, 7.0),
        ("12", "12", 12, 12.0),
        ("12.0", "12.0", 12, 12.0),
        ("1.5", "1.5", "1.5", 1.5),
        ("9" * 30, "9" * 30, "9" * 30, "9" * 30),
        ("9" * 22, "9" * 22, "9" * 22, "9" * 22),
        (1e308, 1e308, 1e308, 1e308),
        (True, True, True, True),
        ("-", None, None, None),
        ("", None, None, None),
        (None, None, None, None),
        ([1], [1], [1], [1]),
    ],
)
def test_scalars(raw: object, as_text: object, as_integer: object, as_number: object) -> None:
    found = (text(raw), integer(raw), number(raw))
    assert found == (as_text, as_integer, as_number)
    assert [type(one) for one in found] == [type(as_text), type(as_integer), type(as_number)]


def test_times_out_of_range_do_not_overflow() -> None:
    for value in (1e300, -1e300, 2**63, "9" * 24, float("1e18")):
        for unit in ("s", "ms", "us", "ns"):
            orjson.dumps(epoch_ms(value, unit))


@pytest.mark.parametrize(
    "word", ["", " ", "[REDACTED]", " redacted-by-litellm\n", "None", "***", "-", "\n" * 5000]
)
def test_placeholders(word: str) -> None:
    assert is_placeholder(word)
    assert first_text([word, 5]) == "5"


@pytest.mark.parametrize("word", ["redacted text", "x" * 5000, "--", "unknown thing"])
def test_no_placeholders(word: str) -> None:
    assert not is_placeholder(word)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER], Conversation("Why?", 0)),
        ([USER, DONE, {"role": "user", "content": "And?"}], Conversation("And?", 1)),
        ([USER, DONE], Conversation("Why?", 0)),
        ([{"role": "user", "content": "Read this."}, USER], Conversation("Read this.\nWhy?", 0)),
        (
            [{"role": "system", "content": "S"}, USER, {"role": "developer", "content": "T"}],
            Conversation("Why?", 0, "S\nT"),
        ),
        (
            [USER, {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "x"}],
            Conversation("Why?", 0),
        ),
        (
            [USER, {"type": "function_call", "name": "f"}, {"type": "function_call_output", "output": "x"}],
            Conversation("Why?", 0),
        ),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why?"}]}],
            Conversation("Why?", 0),
        ),
        (
            [{"role": "user", "parts": [{"text": "Why?"}]}, {"role": "model", "parts": [{"text": "So."}]}],
            Conversation("Why?", 0),
        ),
        ([{"role": "USER", "content": "Why?"}], Conversation("Why?", 0)),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], Conversation()),
        ([{"role": "user", "content": "[redacted]"}, USER], Conversation("Why?", 0)),
        ([USER, DONE, {"role": "user", "content": "redacted"}], Conversation()),
        ("Why?", Conversation("Why?", 0)),
        ('[{"role":"user","content":"Why?"}]', Conversation("Why?", 0)),
        ('{"messages":[{"role":"user","content":"Why?"}]}', Conversation("Why?", 0)),
        ("[1, 2, 3] is what?", Conversation("[1, 2, 3] is what?", 0)),
        ('{"a": 1}', Conversation('{"a": 1}', 0)),
        ({"messages": [USER]}, Conversation("Why?", 0)),
        (["Why?"], Conversation("Why?", 0)),
        (None, Conversation()),
        (7, Conversation()),
    ],
)
def test_conversations(messages: Any, expected: Conversation) -> None:
    assert conversation(messages) == expected


def test_deeply_nested_content_ends() -> None:
    content: Any = "x"
    for _ in range(60):
        content = [{"type": "text", "content": content}]
    assert conversation([{"role": "user", "content": content}]).prompt is None


@pytest.mark.parametrize(
    "response",
    [
        "So.",
        {"choices": [{"message": {"content": "So."}}]},
        {"choices": [{"text": "So."}]},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}]},
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "content": [{"type": "output_text", "text": "So."}]},
            ]
        },
        {"output": {"message": {"role": "assistant", "content": [{"text": "So."}]}}},
        [{"role": "assistant", "parts": [{"type": "text", "content": "So."}]}],
        '{"role":"assistant","content":"So."}',
    ],
)
def test_responses(response: Any) -> None:
    assert response_text(response) == "So."


@pytest.mark.parametrize(
    "response", [None, {}, [], "", "redacted-by-litellm", {"choices": [None, {"message": None}]}, 5]
)
def test_no_responses(response: Any) -> None:
    assert response_text(response) is None


def test_inputs() -> None:
    assert inputs_text(["a", {"role": "user", "content": "b"}, "redacted"]) == "a\nb"
    assert inputs_text(None) is None


def test_registry() -> None:
    assert set(FORMATS) == {"native", "litellm", "otel", "envoy", "kong", "bedrock", "langfuse", "mapping"}
    for name in set(FORMATS) - {"native", "mapping"}:
        assert get_format(name, {}).name == name
    with pytest.raises(UsageError, match=r"no format 'xml'; choose one of native, .*\.$"):
        get_format("xml", {})
    with pytest.raises(UsageError, match="needs no adapter"):
        get_format("native", {})


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'{"event_id":"1","event_time":1,"account_id":"a","prompt":"p"}', "native"),
        (b'{"resourceLogs":[]}', "otel"),
        (b'[{"litellm_call_id":"1"}]', "litellm"),
        (b'{"schemaType":"ModelInvocationLog"}', "bedrock"),
        (b'{"started_at":1,"request":{},"ai":{}}', "kong"),
        (b'{"id":"1","trace_id":"2","type":"SPAN"}', "langfuse"),
        (b'{"response_code":200,"start_time":"x"}', "envoy"),
        (b'{"a":1}', "native"),
        (b"\xff", "native"),
        (b"[]", "native"),
    ],
)
def test_guesses(line: bytes, name: str) -> None:
    assert guess_format([line, b"broken"]) == name
    assert guess_format([]) == "native"
