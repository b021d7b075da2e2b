"""Figures over one ranking against known answers and a plain oracle."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.measures import (
    average_precision,
    class_alarms,
    precision_at,
    ranking_quality,
    ranks,
)


def plain_average_precision(labels: list[bool]) -> float:
    """Labels in ranked order without ties: mean of the precision at every positive."""
    hits = [i for i, label in enumerate(labels) if label]
    return sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / len(hits)


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_average_precision_is_the_mean_precision_at_the_hits(labels: list[bool]) -> None:
    scores = -np.arange(len(labels), dtype=float)
    assert average_precision(scores, np.array(labels)) == pytest.approx(plain_average_precision(labels))


def test_average_precision_of_a_worked_example() -> None:
    # hits at 1, 3 and 5 of 5: (1/1 + 2/3 + 3/5) / 3
    found = average_precision(np.array([5.0, 4, 3, 2, 1]), np.array([True, False, True, False, True]))
    assert found == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_a_constant_score_reaches_the_base_rate() -> None:
    assert average_precision(np.zeros(40), np.arange(40) < 4) == pytest.approx(0.1)


def test_accounts_without_a_score_come_last() -> None:
    scores = np.array([-np.inf, -5.0, -7.0])
    assert average_precision(scores, np.array([True, False, False])) == pytest.approx(1 / 3)
    assert ranks(scores).tolist() == [3, 1, 2]


def test_nothing_to_find_is_not_a_number() -> None:
    assert math.isnan(average_precision(np.arange(3.0), np.zeros(3, dtype=bool)))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 6),
)
def test_precision_at_k_is_the_mean_over_all_orders_of_ties(rows: list[tuple[int, bool]], k: int) -> None:
    scores = np.array([float(score) for score, _ in rows])
    positive = np.array([label for _, label in rows])
    k = min(k, len(rows))
    values = [
        positive[list(order[:k])].mean()
        for order in permutations(range(len(rows)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    assert precision_at(scores, positive, k) == pytest.approx(np.mean(values))


def test_a_strategy_is_measured_against_ordinary_accounts_only() -> None:
    # Ranked: a, b, ordinary, a, ordinary. For b the two a's are left out: it is first of three.
    classes = ["a", "b", "person", "a", "person"]
    scores = np.array([5.0, 4, 3, 2, 1])
    harvesting = np.array([True, True, False, True, False])
    quality = ranking_quality("test", scores, harvesting, classes)
    by_name = {row.strategy: row for row in quality.strategies}
    assert by_name["b"].average_precision == 1.0
    assert by_name["a"].average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert by_name["a"].recall == 0.5  # three accounts harvest; its second stands fourth
    assert by_name["a"].median_rank == 2.5
    assert quality.worst_strategy == "a"
    assert quality.precision_at[10] == pytest.approx(3 / 5)
    assert quality.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_false_alarms_by_class() -> None:
    classes = ["x", "gateway", "person", "person", "x", "person"]
    harvesting = np.array([True, False, False, False, True, False])
    scores = np.array([6.0, 5, 4, 3, 2, 1])
    in_first = np.array([False, True, False, False, False, True])
    gateway, person = class_alarms(scores, harvesting, classes, in_first)
    assert (gateway.name, gateway.accounts, gateway.alarms, gateway.best_rank) == ("gateway", 1, 1, 2)
    assert gateway.in_first_campaigns == 1
    assert (person.name, person.accounts, person.alarms, person.best_rank) == ("person", 3, 0, 3)
    assert person.in_first_campaigns == 1
