"""Calls that failed: counted as calls, but their prompts were not taken, so a retry is no repeat."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.detect.accounts import view
from pipelines.ingest.decode import decode
from pipelines.ingest.fold import Rows, to_arrow
from pipelines.ingest.measure import HashKeys, measure
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.records import NOON, NOW, block, lines

PROMPTS = [
    f"Explain step by step why the kafka index number {i} of this table is slow and how to mend it"
    for i in range(12)
]


def call(index: int, prompt: str, **fields: Any) -> dict[str, Any]:
    base = {
        "event_id": f"e{index}",
        "event_time": NOON + index,
        "account_id": "a",
        "prompt": prompt,
        "status": 200,
    }
    return {name: value for name, value in (base | fields).items() if value is not None}


def measured(records: list[dict[str, Any]], fitted: FittedMap, keys: HashKeys) -> Rows:
    found = decode(block(lines(records)), NOW)
    assert not found.errors.any()
    return measure(found, found.valid, "test", fitted.quantiser, keys)


CONTENT = ("cells", "prompts", "openings", "closings", "prompt_shingles")


def content(rows: Rows) -> list[tuple[Any, ...]]:
    table = to_arrow(rows)
    names = ["cells", "cell_requests", "prompt_hashes", "prompt_cells", "prompt_lengths", "prompt_requests"]
    names += [
        "opening_hashes",
        "opening_requests",
        "closing_hashes",
        "prompt_shingles",
        "prompt_shingle_requests",
    ]
    return [(name, table[name].to_pylist()) for name in names]


@pytest.mark.parametrize("status", [400, 403, 429, 500, 529])
def test_a_retry_is_no_repeat(status: int, fitted: FittedMap, keys: HashKeys) -> None:
    plain = [call(i, prompt) for i, prompt in enumerate(PROMPTS)]
    retried = [call(100 + i, prompt, status=status) for i, prompt in enumerate(PROMPTS[:7])]
    rows = measured([*retried, *plain], fitted, keys)
    assert content(rows) == content(measured(plain, fitted, keys))
    assert rows.sum("requests").tolist() == [19]
    assert (rows.sum("failures") + rows.sum("throttles")).tolist() == [7]
    assert view(rows, 1024).repeats.tolist() == [0.0]
    # What a prompt demands, it demands whether it is answered or not.
    assert rows.sum("elicit_reasoning").tolist() == [19]
    assert rows.sum("with_prompt").tolist() == [19]


def test_the_same_prompt_answered_twice_is_a_repeat(fitted: FittedMap, keys: HashKeys) -> None:
    rows = measured([call(0, PROMPTS[0]), call(1, PROMPTS[0])], fitted, keys)
    assert view(rows, 1024).repeats.tolist() == [0.5]


def test_an_answer_that_broke_off_was_taken(fitted: FittedMap, keys: HashKeys) -> None:
    broken_off = [call(0, PROMPTS[0], status=499, completion_tokens=40), call(1, PROMPTS[1], status=None)]
    rows = measured(broken_off, fitted, keys)
    assert len(rows.sketches["prompts"].keys) == 2
    nothing = measured([call(0, PROMPTS[0], status=499, completion_tokens=0)], fitted, keys)
    assert [len(nothing.sketches[name].keys) for name in CONTENT] == [0] * len(CONTENT)


def test_embeddings_of_failed_calls_count_for_nothing_either(fitted: FittedMap, keys: HashKeys) -> None:
    vector = [0.5, 0.25]
    records = [call(i, None, prompt_embedding=vector, status=status) for i, status in enumerate((429, 200))]  # type: ignore[arg-type]
    assert measured(records, fitted, keys).sketches["prompts"].counts.tolist() == [1]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from([200, 200, 429, 500])), min_size=1, max_size=40),
    st.randoms(),
)
def test_whatever_fails_content_is_that_of_the_answered_calls(
    fitted: FittedMap, keys: HashKeys, calls: list[tuple[int, int]], rng: Any
) -> None:
    records = [call(i, PROMPTS[which], status=status) for i, (which, status) in enumerate(calls)]
    answered = [record for record in records if record["status"] == 200]
    rng.shuffle(records)
    rows = measured(records, fitted, keys)
    if answered:
        assert content(rows) == content(measured(answered, fitted, keys))
    assert rows.sum("requests").tolist() == [len(calls)]
    assert int(np.sum(rows.sketches["minutes"].counts)) == len(calls)
