"""Measures of an account's times against plain Python."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.detect.activity import activity
from tests.detect.worlds import START_MS, at_minutes, rows_of

MINUTES = st.lists(st.integers(0, 14 * 1440 - 1), min_size=1, max_size=60, unique=True)


def entropy(values: list[int]) -> float:
    shares = [values.count(v) / len(values) for v in set(values)]
    return -sum(s * math.log(s) for s in shares)


@given(MINUTES)
def test_equals_plain_python(minutes: list[int]) -> None:
    minutes.sort()
    got = activity(rows_of({"account_id": "a", **at_minutes(*minutes)}).sketches["minutes"])
    hours = sorted({m // 60 for m in minutes})
    assert got.calls[0] == len(minutes)
    assert got.days[0] == len({m // 1440 for m in minutes})
    assert got.hours[0] == len(hours)
    assert got.idle_hours[0] == max((b - a - 1 for a, b in pairwise(hours)), default=0)
    assert got.day_entropy[0] == pytest.approx(entropy([m // 60 % 24 for m in minutes]))
    assert got.week_entropy[0] == pytest.approx(entropy([m // 60 % 168 for m in minutes]))
    busy = {m // 60 % 24 for m in minutes}
    runs = [next(k for k in range(25) if k == 24 or (start + k) % 24 in busy) for start in range(24)]
    assert got.quiet_hours[0] == max(runs)


def test_burstiness_of_a_clock_of_chance_and_of_bursts() -> None:
    rng = np.random.default_rng(0)
    clock = at_minutes(*range(0, 3000, 20))
    chance = at_minutes(*np.unique(rng.integers(0, 200_000, 400)).tolist())
    bursts = at_minutes(*(day * 1440 + m for day in range(14) for m in range(20)))
    rows = rows_of(
        {"account_id": "a", **clock}, {"account_id": "b", **chance}, {"account_id": "c", **bursts},
        {"account_id": "d", **at_minutes(0, 5, 9)},
    )  # fmt: skip
    got = activity(rows.sketches["minutes"]).burstiness
    assert got[0] == pytest.approx(-1)
    assert abs(got[1]) < 0.1
    assert got[2] > 0.6
    assert np.isnan(got[3])


def test_calls_within_one_minute_count_as_events() -> None:
    row = {"account_id": "a", **at_minutes(0, 60), "minute_requests": [3, 2], "requests": 5}
    got = activity(rows_of(row).sketches["minutes"])
    assert got.calls[0] == 5
    assert got.day_entropy[0] == pytest.approx(entropy([0, 0, 0, 1, 1]))
    assert START_MS % (7 * 24 * 3_600_000) == 4 * 24 * 3_600_000  # a Monday; 1970-01-01 was a Thursday
