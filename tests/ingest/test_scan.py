"""The scanner against `json`: what is a record, and what its fields hold."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.scan import ABSENT, INTEGER, NESTED, NULL, REAL, SCAN_REASONS, TEXT, Spans
from pipelines.ingest.source import Block
from schemas.request import FIELD_INDEX, FIELDS, MAX_DEPTH, MAX_RECORD_BYTES
from tests.ingest.records import json_values, texts

_NAMES = [field.name for field in FIELDS]


def scan(*records: bytes) -> Spans:
    """Scan records laid one behind the other."""
    sizes = np.array([len(r) for r in records], dtype=np.int64)
    ends = np.cumsum(sizes + 1) - 1
    return Spans(Block(b"\n".join([*records, b""]), ends - sizes, ends, np.arange(len(sizes))))


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        held, depth = waiting.pop()
        if isinstance(held, dict | list):
            deepest = max(deepest, depth)
            waiting += [(v, depth + 1) for v in (held.values() if isinstance(held, dict) else held)]
    return deepest


def _no_constants(name: str) -> None:
    raise ValueError(name)


def oracle(data: bytes) -> dict[str, Any] | None:
    """The record as `json` reads it; None where it is none."""
    repeated = False

    def pairs(items: list[tuple[str, Any]]) -> Any:
        nonlocal top
        top = items
        return dict(items)

    top: list[tuple[str, Any]] = []
    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=_no_constants)
    except (ValueError, RecursionError):
        return None
    known = [name for name, _ in top if name in FIELD_INDEX]
    repeated = len(known) != len(set(known))
    if not isinstance(value, dict) or repeated or _depth(value) > MAX_DEPTH or len(data) > MAX_RECORD_BYTES:
        return None
    return value


def found(spans: Spans, row: int) -> dict[str, Any]:
    """The fields of a row as Python values (nested ones as bytes)."""
    out: dict[str, Any] = {}
    for index, name in enumerate(_NAMES):
        kind = int(spans.kinds[index, row])
        if kind == ABSENT:
            continue
        begin = int(spans.begins[index, row])
        raw = spans.text[begin : begin + int(spans.sizes[index, row])].tobytes()
        if kind == TEXT:
            out[name] = raw.decode()
        elif kind == NULL:
            out[name] = None
        elif kind == NESTED:
            out[name] = raw
        else:
            out[name] = json.loads(raw)
            assert (kind in (INTEGER, REAL)) == (not isinstance(out[name], bool))
    return out


def expected(value: dict[str, Any]) -> dict[str, Any]:
    """What the scanner should find of an object that `json` read."""
    out = {}
    for name, held in value.items():
        if name in FIELD_INDEX and not isinstance(held, dict | list):
            out[name] = (
                "".join("�" if "\ud800" <= c <= "\udfff" else c for c in held)
                if isinstance(held, str)
                else held
            )
    return out


def check(data: bytes) -> None:
    """One record alone, and between two valid neighbours that must not suffer."""
    good = b'{"event_id": "n\\u00e9ighbour", "prompt": "\xc3\xa9 \\" x"}'
    spans = scan(good, data, good)
    value = oracle(data)
    if value is None:
        assert int(spans.errors[1]) in SCAN_REASONS
    else:
        assert spans.errors[1] == 0, data
        flat = {name: held for name, held in found(spans, 1).items() if not isinstance(held, bytes)}
        assert flat == expected(value)
    for row in (0, 2):
        assert spans.errors[row] == 0
        assert found(spans, row) == {"event_id": "néighbour", "prompt": 'é " x'}


known = st.sampled_from(_NAMES)
telling_bytes = st.sampled_from([*b'{}[]",:\\ue0n-.1 \x00\x7f\x80\xc3\xe2\xf0\xff\r'])


@settings(max_examples=300)
@given(st.dictionaries(known | texts, json_values, max_size=8), st.booleans())
def test_finds_what_json_finds(value: dict[str, Any], ascii_only: bool) -> None:
    try:
        data = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    check(data)


@settings(max_examples=500)
@given(
    st.dictionaries(known | texts, json_values, max_size=6),
    st.lists(st.tuples(st.integers(0, 400), telling_bytes, st.booleans()), max_size=4),
    st.integers(0, 400),
)
def test_mutated_bytes_are_read_as_json_reads_them(
    value: dict[str, Any], changes: list[tuple[int, int, bool]], cut: int
) -> None:
    data = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for at, byte, insert in changes:
        place = at % (len(data) + 1)
        if insert or place == len(data):
            data.insert(place, byte)
        else:
            data[place] = byte
    check(bytes(data).replace(b"\n", b" ")[: cut or None])


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    check(data.replace(b"\n", b" "))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty record"),
        (b"  ", "empty record"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 01}', "invalid JSON"),
        (b'{"a": 1,}', "invalid JSON"),
        (b'{"a": NaN}', "invalid JSON"),
        (b'{"a": "\x01"}', "invalid JSON string (bare control character or bad escape)"),
        (b'{"a": "\\x"}', "invalid JSON string (bare control character or bad escape)"),
        (b'{"a": "\xff"}', "text is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "text is not UTF-8"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", f"nested deeper than {MAX_DEPTH}"),
        (b'{"prompt": "a", "prompt": "b"}', "duplicate key"),
        (b'{"prompt": "a", "\\u0070rompt": "b"}', "duplicate key"),
        (b'{"a": "' + b"x" * MAX_RECORD_BYTES + b'"}', f"record over {MAX_RECORD_BYTES} bytes"),
        (b"{} {}", "more than one JSON value in the record"),
        (b'{"a": "b', "record ends too early"),
        (b'{"a": [1, {"b"', "record ends too early"),
    ],
)
def test_reasons(data: bytes, why: str) -> None:
    assert SCAN_REASONS[int(scan(data).errors[0])] == why
    assert oracle(data) is None


def test_deepest_allowed() -> None:
    check(b'{"a": ' + b"[" * 63 + b"]" * 63 + b', "prompt": "p"}')


def test_an_escaped_name_is_the_same_name() -> None:
    assert found(scan(b'{"\\u0070rom\\u0070t": "x"}'), 0) == {"prompt": "x"}


def test_long_strings_of_every_length_and_alignment() -> None:
    for size in range(40):
        for lead in range(9):
            text = "x" * size
            check(b" " * lead + json.dumps({"prompt": text, "model": text + '"é\\'}).encode())
            check(
                b" " * lead + json.dumps({"prompt": text + "é", "model": text}, ensure_ascii=False).encode()
            )
