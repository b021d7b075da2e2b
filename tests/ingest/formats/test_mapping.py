"""The mapping file: what it can say, and what is said about a wrong one."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.ingest.formats import get_format
from pipelines.ingest.formats import mapping as module
from pipelines.ingest.formats.base import Converted
from pipelines.ingest.formats.values import milliseconds

LINE = {
    "request": {"id": 17, "at": 1795558989407045713, "headers": {"user-agent": "cli/1"}},
    "auth": {"customer": "none", "key_id": "key-1"},
    "body": '{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Why?"}]}',
    "answer": {"choices": [{"message": {"content": "So."}}]},
    "tags": ["conv-1", "x"],
    "usage": {"out": "12"},
    "took": 1.5,
}
BASE = "event_id: id\nevent_time: at\naccount_id: who\nprompt: text"


def write(folder: Path, text: str) -> dict[str, object]:
    file = folder / "mapping.yaml"
    file.write_text(text)
    return {"file": str(file)}


def fields(folder: Path, text: str) -> dict[str, object]:
    return write(folder, "fields:\n" + "\n".join("  " + line for line in text.splitlines()))


def convert(options: dict[str, object], *lines: Any) -> Converted:
    return get_format("mapping", options).convert([orjson.dumps(line) for line in lines])


def only(options: dict[str, object], line: Any) -> dict[str, Any]:
    converted = convert(options, line)
    assert (converted.rejects, converted.skipped) == ([], [])
    loaded: dict[str, Any] = orjson.loads(converted.records[0])
    return loaded


def test_the_documented_example_works(tmp_path: Path) -> None:
    assert module.__doc__ is not None
    example = [line[4:] for line in module.__doc__.splitlines() if line.startswith("    ")]
    options = write(tmp_path, "\n".join(example))
    assert only(options, LINE) == {
        "event_id": "17",
        "event_time": 1795558989407,
        "account_id": "key-1",
        "prompt": "Why?",
        "turn_index": 0,
        "system_prompt": "S",
        "response": "So.",
        "model": "m",
        "endpoint": "chat",
        "user_agent": "cli/1",
        "conversation_id": "conv-1",
        "completion_tokens": 12,
        "latency_ms": 1500.0,
    }
    assert convert(options, {"request": {}}).skipped == [(0, "no model call")]


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", 1795558989, 1795558989000),
        ("s", 1795558989.4071, 1795558989407),
        ("s", "1795558989.4071", 1795558989407),
        ("ms", 1795558989407, 1795558989407),
        ("us", "1795558989407045", 1795558989407),
        ("ns", 1795558989407045713, 1795558989407),
        ("ns", "1795558989407045713", 1795558989407),
        ("s", "2026-11-24T22:18:55+01:00", "2026-11-24T22:18:55+01:00"),
        ("s", "2026-11-24 22:18:55.5", "2026-11-24T22:18:55.5Z"),
        ("s", "soon", "soon"),
        ("s", True, True),
        ("s", "-", None),
    ],
)
def test_times(tmp_path: Path, unit: str, value: object, expected: object) -> None:
    options = fields(tmp_path, BASE.replace("event_time: at", f"event_time: {{path: at, unit: {unit}}}"))
    assert only(options, {"id": "1", "at": value, "who": "a", "text": "p"}).get("event_time") == expected


def test_milliseconds_are_the_default(tmp_path: Path) -> None:
    line = {"id": "1", "at": 1795558989407, "who": 5, "text": "p"}
    assert only(fields(tmp_path, BASE), line) == {
        "event_id": "1",
        "event_time": 1795558989407,
        "account_id": "5",
        "prompt": "p",
    }


def test_vectors_and_constants_pass_through(tmp_path: Path) -> None:
    options = fields(tmp_path, BASE.replace("prompt: text", "prompt_embedding: v\nplan: {value: gold}"))
    found = only(options, {"id": "1", "at": 1, "who": "a", "v": [0.5, 1]})
    assert (found["prompt_embedding"], found["plan"]) == ([0.5, 1], "gold")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fields: {}", "does not map event_id"),
        ("fields:\n  event_id: a\n  event_time: b\n  account_id: c", "neither prompt nor prompt_embedding"),
        ("a: [", "not valid YAML"),
        ("- 1", "has no 'fields'"),
        ("fields: {event_id: a}\nextra: 1", "unknown key 'extra'"),
        ("fields: {evnt_id: a}", "unknown field 'evnt_id'"),
        ("fields: {event_id: a..b}", "'a..b', which is none"),
        ("fields: {event_id: ''}", "'', which is none"),
        ("fields: {event_id: 'a[x]'}", "which is none"),
        ("fields: {event_id: 3.5}", "nothing usable about event_id"),
        ("fields: {event_id: {path: a, value: b}}", "nothing usable about event_id"),
        ("fields: {event_id: {path: a, units: s}}", "nothing usable about event_id"),
        ("fields: {event_id: []}", "no paths in first_of of event_id"),
        ("fields: {event_id: {path: a, unit: s}}", "the unit 's'"),
        ("fields: {event_time: {path: a, unit: days}}", "the unit 'days'"),
        ("fields: {event_time: {path: a, unit: [s]}}", "the unit \\['s'\\]"),
        ("fields: {plan: {value: 2026-11-24}}", "the constant"),
        ("fields: {plan: {value: [x]}}", "the constant"),
        (f"fields: {{max_tokens: {{value: {10**30}}}}}", "the constant"),
        ("fields: {temperature: {value: .nan}}", "the constant"),
        ("fields: {prompt: {path: a, as: poem}}", "reads prompt as 'poem'"),
        ("fields: {prompt: {path: a, as: [x]}}", "reads prompt as \\['x'\\]"),
        (f"fields: {{{BASE.replace(chr(10), ', ')}}}\nskip_unless: ''", "skip_unless"),
    ],
)
def test_wrong_files_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        get_format("mapping", write(tmp_path, text))
    sentence = str(raised.value)
    assert "mapping.yaml" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_missing_file_and_option(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        get_format("mapping", {"file": tmp_path / "none.yaml"})
    with pytest.raises(UsageError, match="needs the option 'file'"):
        get_format("mapping", {})
    with pytest.raises(UsageError, match="has no option 'path'"):
        get_format("mapping", {"path": "x"})
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not valid YAML"):
        get_format("mapping", {"file": tmp_path / "b.yaml"})


def test_a_duration_too_large_for_milliseconds_is_left_to_the_decoder() -> None:
    assert milliseconds(1.8e305) == 1.8e305
    assert milliseconds("2.5") == 2500
    assert milliseconds("slow") == "slow"
