"""Recordings of real clients: every call becomes a record with the right account, prompt, model and tokens.

The truth was written by the program that made the calls. Set SCARECROW_RECORDINGS to a folder with large
recordings (fixtures/README.md says how to make them) to run the same tests on those.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from pipelines.ingest.decode import decode, reason
from pipelines.ingest.formats import get_format, guess_format
from pipelines.ingest.formats.base import Converted
from pipelines.ingest.source import Block

_SMALL = Path(__file__).with_name("fixtures")
_LARGE = os.environ.get("SCARECROW_RECORDINGS")
_FOLDERS = [_SMALL, *([Path(_LARGE)] if _LARGE else [])]

Record = dict[str, Any]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _truth(path: Path) -> Iterator[Record]:
    return (orjson.loads(line) for line in _lines(path))


def _records(converted: Converted) -> dict[str, Record]:
    records = {record["event_id"]: record for record in map(orjson.loads, converted.records)}
    assert len(records) == len(converted.records), "ids repeat"
    return records


@pytest.fixture(params=_FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_litellm_call_is_a_record(folder: Path) -> None:
    lines = _lines(folder / "litellm.ndjson")
    converted = get_format("litellm", {}).convert(lines)
    records = _records(converted)
    assert not converted.rejects
    truth = list(_truth(folder / "litellm.truth.ndjson"))
    refused = [row for row in truth if row["kind"] == "refused"]
    assert len(refused) == len(converted.skipped) > 0
    assert {reason for _, reason in converted.skipped} == {"key refused, no account"}
    for row in truth:
        if row["kind"] == "refused":
            continue
        failed = row["kind"] == "failure"
        record = records.pop(row["event_id"] + ("/failed" if failed else ""))
        usage = row["usage"] or {}
        expected = {
            "account_id": row["account_id"],
            "org_id": row["org_id"],
            "model": "gpt-4o" if row["kind"] == "fallback" else row["model"],
            "prompt": None if row["kind"] == "redacted" else row["prompt"],
            "turn_index": None if row["kind"] in ("redacted", "embedding") else row["turn_index"],
            "prompt_tokens": usage.get("prompt_tokens", usage.get("input_tokens", 0)),
            "completion_tokens": usage.get("completion_tokens", usage.get("output_tokens", 0)),
            "status": 500 if failed else 200,
        }
        assert {name: record.get(name) for name in expected} == expected
        if row["session"]:
            assert record["conversation_id"] == row["session"]
        assert isinstance(record["event_time"], int)
        if row["kind"] == "fallback":
            attempt = records.pop(row["event_id"] + "/failed")
            assert (attempt["model"], attempt["status"]) == (row["model"], 500)
            assert attempt["prompt"] == row["prompt"]
    assert not records, "records that nobody asked for"


def test_every_otel_call_is_a_record(folder: Path) -> None:
    lines = _lines(folder / "otel.ndjson")
    converted = get_format("otel", {}).convert(lines)
    assert not converted.rejects
    records = {event_id.split(":")[0]: record for event_id, record in _records(converted).items()}
    assert len(records) == len(converted.records), "a call came out twice"
    for row in _truth(folder / "otel.truth.ndjson"):
        record = records.pop(row["trace_id"])
        expected = {
            name: row.get(name) for name in ("account_id", "model", "prompt_tokens", "completion_tokens")
        }
        expected["prompt"], expected["turn_index"] = _captured(row)
        assert {name: record.get(name) for name in expected} == expected, row["mode"]
        assert record["status"] == 200 if row["kind"] != "failure" else record["status"] >= 400
        assert isinstance(record["event_time"], int)
    assert not records, "records that nobody asked for"


def _captured(row: Record) -> tuple[object, object]:
    """What was written down: openai-v2 leaves out embedding inputs, and from 2.4b0 on list content."""
    new, old = ("span", "details", "both"), ("events",)
    if (row["kind"] == "embedding" and row["mode"] in new + old) or (
        row["kind"] == "parts" and row["mode"] in new
    ):
        return None, None
    return row["prompt"], row["turn_index"]


def test_the_strict_decoder_takes_what_adapters_give(folder: Path) -> None:
    """Every record with a prompt is valid; the others lack nothing but the prompt."""
    for name in ("litellm", "otel"):
        converted = get_format(name, {}).convert(_lines(folder / f"{name}.ndjson"))
        sizes = np.array([len(record) for record in converted.records], dtype=np.int64)
        ends = np.cumsum(sizes)
        block = Block(
            b"".join(converted.records), ends - sizes, ends, np.array(converted.origins, dtype=np.int64)
        )
        decoded = decode(block, now_ms=1_900_000_000_000)
        reasons = [reason(int(error)) if error else "" for error in decoded.errors]
        asked = [
            "" if "prompt" in orjson.loads(record) else "prompt: missing" for record in converted.records
        ]
        assert reasons == asked
        assert reasons.count("") > len(reasons) * 0.85


def test_the_small_recordings_show_every_kind() -> None:
    kinds = {row["kind"] for row in _truth(_SMALL / "litellm.truth.ndjson")}
    assert kinds >= {
        "plain",
        "turns",
        "parts",
        "redacted",
        "failure",
        "refused",
        "embedding",
        "fallback",
        "tools",
    }
    modes = {row["mode"] for row in _truth(_SMALL / "otel.truth.ndjson")}
    assert modes == {"events", "span", "details", "both", "traceloop", "flattened"}


@pytest.mark.parametrize("name", ["litellm", "otel"])
def test_recordings_are_recognised(name: str) -> None:
    assert guess_format(_lines(_SMALL / f"{name}.ndjson")[:5]) == name


def test_order_of_otel_lines_does_not_matter(folder: Path) -> None:
    lines = _lines(folder / "otel.ndjson")
    adapter = get_format("otel", {})
    assert sorted(adapter.convert(lines).records) == sorted(adapter.convert(lines[::-1]).records)


def test_a_generic_api_batch_is_one_line_of_many_calls() -> None:
    lines = _lines(_SMALL / "litellm.ndjson")
    adapter = get_format("litellm", {})
    batch = adapter.convert([b"[" + b",".join(lines) + b"]"])
    assert batch.records == adapter.convert(lines).records
    assert set(batch.origins) == {0}


def test_fixtures_name_no_folder_of_a_machine() -> None:
    for path in _SMALL.iterdir():
        text = path.read_text()
        assert not [word for word in ("site-packages", "/home/", "/root/", "/usr/lib") if word in text], (
            path.name
        )
        if path.suffix == ".ndjson":
            assert path.stat().st_size <= 60 * 1024
