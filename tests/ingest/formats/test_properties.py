"""Whatever the lines hold: convert never raises, accounts for every line, repeats no content in reasons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.ingest.formats import FORMATS, Format, get_format, guess_format
from schemas.request import FIELD_INDEX

from .test_gateways import BEDROCK, ENVOY, KONG, KONG_VERSIONS, LANGFUSE
from .test_litellm import PAYLOAD
from .test_mapping import LINE

_FIXTURES = Path(__file__).with_name("fixtures")
_MAPPING = """
fields:
  event_id: request.id
  event_time: {path: request.at, unit: ns}
  account_id: [auth.customer, auth.key_id]
  prompt: {path: body.messages, as: prompt}
  response: {path: answer, as: response}
  tool_schema: {path: tags, as: json}
  latency_ms: {path: took, unit: s}
  prompt_embedding: usage
"""
NAMES = sorted(set(FORMATS) - {"native"})
SEEDS: dict[str, list[Any]] = {
    "litellm": [orjson.loads(line) for line in (_FIXTURES / "litellm.ndjson").read_bytes().splitlines()]
    + [PAYLOAD],
    "otel": [orjson.loads(line) for line in (_FIXTURES / "otel.ndjson").read_bytes().splitlines()],
    "envoy": [ENVOY],
    "kong": [KONG | {"ai": ai} for ai in KONG_VERSIONS.values()],
    "bedrock": [BEDROCK],
    "langfuse": [LANGFUSE],
    "mapping": [LINE],
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "redacted", "1e999", "[{", "[[[[", '[{"role":"user"}]', "9" * 40, "\x00", "2026-13-45T99:99:99Z"]
    ),
    st.lists(st.sampled_from([None, 1, "x", {}, [], {"role": []}, {"type": {}, "text": 5}]), max_size=3),
    st.dictionaries(
        st.sampled_from(["role", "content", "parts", "type", "messages", "values", "key"]),
        st.just([{}]),
        max_size=3,
    ),
)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Format]:
    file = tmp_path_factory.mktemp("mapping") / "mapping.yaml"
    file.write_text(_MAPPING)
    return {name: get_format(name, {"file": file} if name == "mapping" else {}) for name in NAMES}


def check(adapter: Format, lines: Sequence[bytes]) -> None:
    """The promises of Converted."""
    converted = adapter.convert(lines)
    assert len(converted.records) == len(converted.origins)
    told = {*converted.origins, *(i for i, _ in converted.rejects), *(i for i, _ in converted.skipped)}
    assert told == set(range(len(lines)))
    for data in converted.records:
        record = orjson.loads(data)
        assert isinstance(record, dict)
        assert record.keys() <= FIELD_INDEX.keys()
        assert None not in record.values()
    for _, reason in converted.rejects + converted.skipped:
        assert reason in _REASONS
    assert adapter.convert(lines) == converted, "the adapter remembers"


_REASONS = {
    "a value cannot be written as JSON",
    "an embedded JSON string cannot be parsed",
    "empty batch",
    "empty line",
    "joined to a call on another line",
    "key refused, no account",
    "line too long",
    "metrics",
    "nested too deep",
    "no model call",
    "not JSON",
    "not UTF-8",
    "not a Bedrock invocation log",
    "not a JSON object",
    "not a Kong log entry",
    "not a Langfuse observation",
    "not a LiteLLM standard logging payload",
    "not an Envoy access log entry",
    "not an OTLP export",
}


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] * bool(path) + [node for key, child in children for node in _nodes(child, (*path, key))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any, drop: bool) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if drop and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _replaced(copy[path[0]], path[1:], new, drop)
    return copy


PATHS = {name: [_nodes(seed) for seed in seeds] for name, seeds in SEEDS.items()}


@st.composite
def mutated_line(draw: st.DrawFn, name: str) -> bytes:
    """A real line with up to four values replaced or removed, then perhaps cut or spoilt."""
    number = draw(st.integers(0, len(SEEDS[name]) - 1))
    value = SEEDS[name][number]
    for path in draw(st.lists(st.sampled_from(PATHS[name][number]), max_size=4)):
        try:
            value = _replaced(value, path, draw(ODD), draw(st.booleans()))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    data = orjson.dumps(value)
    how = draw(st.sampled_from(["whole", "whole", "cut", "byte", "array"]))
    if how == "array":
        return b"[" + data + b"]"
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if how == "byte":
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
    return data


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_bytes(adapters: dict[str, Format], name: str, lines: list[bytes]) -> None:
    check(adapters[name], lines)
    assert guess_format(lines) in FORMATS


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_mutated_real_lines(adapters: dict[str, Format], name: str, data: st.DataObject) -> None:
    check(adapters[name], data.draw(st.lists(mutated_line(name), min_size=1, max_size=3)))


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_neighbour_costs_nothing(adapters: dict[str, Format], name: str) -> None:
    lines = [orjson.dumps(seed) for seed in SEEDS[name]]
    clean = adapters[name].convert(lines).records
    assert clean
    mixed = [piece for line in lines for piece in (b"{", line, b"\xff\xfe", b"[" * 70 + b"]" * 70)]
    assert adapters[name].convert(mixed).records == clean
