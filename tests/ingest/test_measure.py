"""All columns of account_hours against the plain record-at-a-time version."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.naive import Naive, measure_all
from pipelines.ingest.decode import decode
from pipelines.ingest.fold import Rows, to_arrow
from pipelines.ingest.measure import HashKeys, measure
from pipelines.prompt_map.fit import FittedMap
from schemas.account_hour import ACCOUNT_HOURS
from tests.ingest.records import KEY, NOON, NOW, block, json_values, lines, log, texts


def by_key(rows: Rows) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows as the oracle gives them."""
    found = {}
    for row in to_arrow(rows).to_pylist():
        key = (row.pop("account_id"), row.pop("epoch_hour"))
        assert row.pop("map_version") == "test"
        assert key not in found
        found[key] = row
    return found


def measured(data: bytes, fitted: FittedMap, keys: HashKeys) -> Rows:
    """The product's rows of one block."""
    decoded = decode(block(data), NOW)
    return measure(decoded, decoded.valid, "test", fitted.quantiser, keys)


def compare(
    found: dict[tuple[str, int], dict[str, Any]], expected: dict[tuple[str, int], dict[str, Any]]
) -> None:
    """Equal, with a message that names the column."""
    assert found.keys() == expected.keys()
    for key, row in found.items():
        for name, value in row.items():
            assert value == expected[key].get(name, 0), (key, name)


def test_every_column_has_an_oracle(fitted: FittedMap) -> None:
    row = next(iter(measure_all(log(0, 50), Naive(KEY, fitted.quantiser)).values()))
    keys = {"account_id", "epoch_hour", "map_version"}
    assert set(row) == {column.name for column in ACCOUNT_HOURS.columns} - keys


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_the_oracle(seed: int, fitted: FittedMap, keys: HashKeys) -> None:
    records = log(seed, 400, accounts=30, hours=3)
    compare(
        by_key(measured(lines(records), fitted, keys)), measure_all(records, Naive(KEY, fitted.quantiser))
    )


def test_sketches_at_their_limits(fitted: FittedMap, keys: HashKeys) -> None:
    records = log(4, 900, accounts=1, hours=1)
    for index, record in enumerate(records):
        record |= {
            "prompt": f"{record['prompt']} {index % 700}", "model": f"m{index % 40}", "org_id": f"o{index % 9}",
            "conversation_id": f"c{index % 100}", "client_ip": f"10.{index % 200}.0.1", "account_id": "one",
        }  # fmt: skip
    found = by_key(measured(lines(records), fitted, keys))
    compare(found, measure_all(records, Naive(KEY, fitted.quantiser)))
    row = found["one", NOON // 3_600_000]
    assert (len(row["prompt_hashes"]), len(row["model_names"]), len(row["org_hashes"])) == (256, 16, 4)


hostile = st.fixed_dictionaries(
    {
        "event_time": st.integers(NOON, NOON + 7_200_000) | st.just("2026-09-21T10:11:12.5+02:00"),
        "account_id": st.text(
            st.characters(min_codepoint=33, exclude_characters="\x7f"), min_size=1, max_size=8
        ),
        "prompt": texts | st.text("step by show your work. <think 逐步", max_size=80),
    },
    optional={
        "model": texts,
        "client_ip": st.ip_addresses().map(str) | st.none(),
        "status": st.integers(0, 999),
        "turn_index": st.integers(0, 3),
        "temperature": st.floats(0, 2).map(lambda x: round(x, 3)),
        "max_tokens": st.integers(0, 100_000),
        "response": texts,
        "system_prompt": texts | st.none(),
        "x": json_values,
    },
)


@settings(max_examples=150)
@given(st.lists(hostile, min_size=1, max_size=20), st.booleans())
def test_hostile_text_as_the_oracle(
    fitted: FittedMap, keys: HashKeys, records: list[dict[str, Any]], ascii_only: bool
) -> None:
    for index, each in enumerate(records):
        each["event_id"] = f"e{index}"
    data = b"".join(
        json.dumps(each, ensure_ascii=ascii_only).encode("utf-8", "replace") + b"\n" for each in records
    )
    readable = [json.loads(line) for line in data.splitlines()]
    compare(by_key(measured(data, fitted, keys)), measure_all(readable, Naive(KEY, fitted.quantiser)))


def test_only_the_given_rows_count(fitted: FittedMap, keys: HashKeys) -> None:
    records = log(5, 100)
    decoded = decode(block(lines(records)), NOW)
    rows = np.arange(0, 100, 3)
    found = measure(decoded, rows, "test", fitted.quantiser, keys)
    expected = measure_all([records[i] for i in rows.tolist()], Naive(KEY, fitted.quantiser))
    compare(by_key(found), expected)


def test_a_single_long_request_is_folded_too(fitted: FittedMap, keys: HashKeys) -> None:
    record = log(6, 1)[0] | {"prompt": " ".join(f"word{n}" for n in range(3500)), "response": "a b " * 900}
    found = by_key(measured(lines([record]), fitted, keys))
    compare(found, measure_all([record], Naive(KEY, fitted.quantiser)))
    ((_, row),) = found.items()
    assert len(row["prompt_shingles"]) == 64
