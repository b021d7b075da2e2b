"""Decoding: every reason, bounds, placeholders, and times against `datetime`."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.decode import Decoded, decode, reason
from schemas.request import (
    FIELD_INDEX,
    MAX_FUTURE_MS,
    MAX_ID_BYTES,
    MAX_PROMPT_BYTES,
    MIN_TIME_MS,
    PLACEHOLDERS,
)
from tests.ingest.records import NOON, NOW, block

GOOD: dict[str, Any] = {"event_id": "e", "event_time": NOON, "account_id": "a", "prompt": "hello"}


def decoded(*records: dict[str, Any], content_free: bool = False) -> Decoded:
    """Decode records given as dictionaries."""
    return decode(block(b"".join(json.dumps(r).encode() + b"\n" for r in records)), NOW, content_free)


def why(**changes: Any) -> str:
    """The reason for which a good record with changes is rejected; empty when it is not."""
    error = int(decoded(GOOD | changes).errors[0])
    return reason(error) if error else ""


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_id": None}, "event_id: missing"),
        ({"event_id": ""}, "event_id: missing"),
        ({"event_id": 5}, "event_id: wrong type"),
        ({"event_id": ["x"]}, "event_id: wrong type"),
        ({"event_id": "x" * (MAX_ID_BYTES + 1)}, "event_id: too long"),
        ({"account_id": "a\u0000b"}, "account_id: control character"),
        ({"account_id": "a\u007fb"}, "account_id: control character"),
        ({"account_id": "é" * (MAX_ID_BYTES // 2 + 1)}, "account_id: too long"),
        ({"event_time": "yesterday"}, "event_time: not a time (epoch milliseconds or RFC 3339)"),
        ({"event_time": True}, "event_time: wrong type"),
        ({"event_time": 1.5e12}, "event_time: wrong type"),
        ({"event_time": NOW + MAX_FUTURE_MS + 1}, "event_time: more than a day in the future"),
        ({"event_time": 1_790_000_000}, "event_time: before the year 2000"),
        ({"event_time": 10**30}, "event_time: before the year 2000"),
        (
            {"account_created_at": "2026-13-01T00:00:00Z"},
            "account_created_at: not a time (epoch milliseconds or RFC 3339)",
        ),
        ({"prompt": 7}, "prompt: wrong type"),
        ({"prompt": "x" * (MAX_PROMPT_BYTES + 1)}, "prompt: too long"),
        ({"prompt": None}, "prompt: missing"),
        ({"model": {"name": "x"}}, "model: wrong type"),
        ({"status": "200"}, "status: wrong type"),
        ({"status": 1000}, "status: number out of range"),
        ({"status": 200.5}, "status: wrong type"),
        ({"prompt_tokens": -1}, "prompt_tokens: number out of range"),
        ({"prompt_tokens": 2**31}, "prompt_tokens: number out of range"),
        ({"temperature": 101}, "temperature: number out of range"),
        ({"latency_ms": 1e300}, "latency_ms: number out of range"),
        ({"prompt_embedding": "x"}, "prompt_embedding: wrong type"),
        ({"prompt_embedding": {"a": 1}}, "prompt_embedding: wrong type"),
    ],
)
def test_reasons(changes: dict[str, Any], expected: str) -> None:
    assert why(**changes) == expected


def test_huge_exponents_are_out_of_range_and_tiny_ones_zero() -> None:
    data = b"".join(
        json.dumps(GOOD).encode()[:-1] + b', "latency_ms": ' + number + b"}\n"
        for number in (b"1e999999999", b"-1e999999999", b"1e-999999999", b"0e999999999", b"1" * 400)
    )
    found = decode(block(data), NOW)
    assert [bool(error) for error in found.errors] == [True, True, False, False, True]
    assert found.numbers[FIELD_INDEX["latency_ms"], [2, 3]].tolist() == [0.0, 0.0]


def test_bounds_are_inside() -> None:
    assert why(event_time=NOW + MAX_FUTURE_MS) == ""
    assert why(event_time=MIN_TIME_MS) == ""
    assert why(prompt="x" * MAX_PROMPT_BYTES) == ""
    assert why(event_id="x" * MAX_ID_BYTES) == ""
    assert why(status=999, temperature=100) == ""


@pytest.mark.parametrize(
    "word", [*PLACEHOLDERS, *(w.upper() for w in PLACEHOLDERS), "", "  ", " [Redacted]\n"]
)
def test_placeholders_are_absent(word: str) -> None:
    found = decoded(GOOD | {"model": word, "prompt": word})
    assert found.errors[0] == 0
    assert found.spans.kinds[FIELD_INDEX["model"], 0] == 0
    assert found.spans.kinds[FIELD_INDEX["prompt"], 0] == 0


def test_an_account_may_be_called_like_a_placeholder() -> None:
    assert why(account_id="unknown") == ""


def test_no_prompt_is_allowed_with_an_embedding_or_when_asked_for() -> None:
    assert decoded(without("prompt") | {"prompt_embedding": [0.5, 1]}).errors[0] == 0
    assert decoded(without("prompt"), content_free=True).errors[0] == 0
    assert decoded(without("prompt")).errors[0] != 0


@settings(max_examples=300)
@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2026, 9, 1)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from("Tt "),
    st.integers(0, 9),
)
def test_times_as_datetime_reads_them(moment: datetime, minutes: int, mark: str, digits: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    aware = moment.replace(tzinfo=zone)
    fraction = "" if digits == 0 else "." + f"{moment.microsecond:06d}000"[:digits]
    offset = aware.strftime("%z")
    text = moment.strftime(f"%Y-%m-%d{mark}%H:%M:%S") + fraction + f"{offset[:3]}:{offset[3:]}"
    kept = int((fraction[1:] + "000")[:3])
    expected = int(aware.replace(microsecond=0).timestamp()) * 1000 + kept
    if expected < MIN_TIME_MS:
        return
    found = decoded(GOOD | {"event_time": text, "account_created_at": text})
    assert found.errors[0] == 0, text
    assert found.event_times[0] == expected
    assert found.created_times[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "2026-01-01 00:00:00z ",
        "2026-1-01T00:00:00Z", "-026-01-01T00:00:00Z", "2026-01-01X00:00:00Z", "２０２６-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    assert why(event_time=text).startswith("event_time: not a time")


def test_leap_second_and_leap_day() -> None:
    leap = decoded(GOOD | {"event_time": "2024-02-29T23:59:60Z"})
    assert leap.event_times[0] == int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1000


@settings(max_examples=300)
@given(st.floats(0, 2.0**33) | st.integers(0, 2**33))
def test_numbers_as_float_reads_them(value: float) -> None:
    found = decoded(GOOD | {"latency_ms": value})
    assert found.errors[0] == 0
    assert math.isclose(found.numbers[FIELD_INDEX["latency_ms"], 0], value, rel_tol=1e-14)


@given(st.integers(0, 2**31 - 1))
def test_integers_are_exact(value: int) -> None:
    assert decoded(GOOD | {"prompt_tokens": value}).numbers[FIELD_INDEX["prompt_tokens"], 0] == value


def test_a_bad_record_costs_its_neighbours_nothing() -> None:
    bad = [GOOD | {"status": "x"}, {"a": 1}, GOOD | {"event_time": 1}]
    records = [GOOD, bad[0], GOOD, bad[1], bad[2], GOOD]
    found = decoded(*records)
    assert np.flatnonzero(found.errors == 0).tolist() == [0, 2, 5]
