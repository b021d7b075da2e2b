"""Fold: any order, any slicing, twice or once: the same rows, and those of a dictionary."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.naive import Naive, measure_all
from pipelines.ingest.decode import decode
from pipelines.ingest.fold import Rows, concat, fold, from_arrow, to_arrow
from pipelines.ingest.measure import HashKeys, measure
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.records import KEY, NOW, block, lines, log
from tests.ingest.test_measure import by_key, compare


@pytest.fixture(scope="module")
def requests(fitted: FittedMap, keys: HashKeys) -> list[Rows]:
    """Some hundred requests, each measured alone."""
    records = log(11, 300, accounts=12, hours=3)
    decoded = decode(block(lines(records)), NOW)
    return [measure(decoded, np.array([i]), "test", fitted.quantiser, keys) for i in range(len(records))]


@pytest.fixture(scope="module")
def whole(requests: list[Rows]) -> pa.Table:
    """All of them folded at once."""
    return to_arrow(fold(concat(requests)))


def test_as_the_oracle(whole: pa.Table, fitted: FittedMap) -> None:
    compare(
        by_key(from_arrow(whole)),
        measure_all(log(11, 300, accounts=12, hours=3), Naive(KEY, fitted.quantiser)),
    )


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 299), max_size=6))
def test_any_order_and_slicing(
    requests: list[Rows], whole: pa.Table, rng: random.Random, cuts: list[int]
) -> None:
    shuffled = list(requests)
    rng.shuffle(shuffled)
    bounds = [0, *sorted(set(cuts)), len(shuffled)]
    parts = [fold(concat(shuffled[a:b])) for a, b in pairwise(bounds)]
    rng.shuffle(parts)
    assert to_arrow(fold(concat(parts))).equals(whole)


@settings(max_examples=20)
@given(st.sets(st.integers(1, 299), min_size=2, max_size=2))
def test_associative(requests: list[Rows], whole: pa.Table, cuts: set[int]) -> None:
    a, b = sorted(cuts)
    one, two, three = (fold(concat(part)) for part in (requests[:a], requests[a:b], requests[b:]))
    left = fold(concat([fold(concat([one, two])), three]))
    right = fold(concat([one, fold(concat([two, three]))]))
    assert to_arrow(left).equals(to_arrow(right))
    assert to_arrow(left).equals(whole)


def test_idempotent_and_ordered(whole: pa.Table) -> None:
    rows = from_arrow(whole)
    assert to_arrow(fold(rows)).equals(whole)
    keys = list(zip(whole["account_id"].to_pylist(), whole["epoch_hour"].to_pylist(), strict=True))
    assert keys == sorted(keys, key=lambda k: (k[0].encode(), k[1]))


def test_through_arrow_and_back(requests: list[Rows], whole: pa.Table) -> None:
    again = fold(concat([from_arrow(to_arrow(part)) for part in requests]))
    assert to_arrow(again).equals(whole)


def test_through_slices_of_a_table(whole: pa.Table) -> None:
    cut = [from_arrow(whole.slice(a, 7)) for a in range(0, whole.num_rows, 7)]
    assert to_arrow(fold(concat(cut))).equals(whole)


def test_hours_into_days(whole: pa.Table) -> None:
    rows = from_arrow(whole)
    daily = fold(rows.at_hour(np.zeros(len(rows), np.int32)))
    totals: dict[str, int] = {}
    for row in whole.to_pylist():
        totals[row["account_id"]] = totals.get(row["account_id"], 0) + row["requests"]
    assert dict(zip(daily.accounts.to_pylist(), daily.sum("requests").tolist(), strict=True)) == totals


def test_maps_are_never_mixed(requests: list[Rows]) -> None:
    table = to_arrow(requests[0])
    other = table.set_column(2, table.schema.field(2), pa.array(["other"]))
    with pytest.raises(ValueError, match="different prompt maps"):
        concat([requests[0], from_arrow(other)])
    with pytest.raises(ValueError, match="different prompt maps"):
        from_arrow(pa.concat_tables([table, other]))


def test_large_groups_sort_too(requests: list[Rows]) -> None:
    one: list[Rows] = [part.at_hour(np.zeros(len(part), np.int32)) for part in requests]
    merged = fold(concat([Rows(**(vars(part) | {"accounts": pa.array(["x"])})) for part in one]))
    assert len(merged) == 1
    for entries in merged.sketches.values():
        assert np.all(np.diff(entries.keys) > 0)
