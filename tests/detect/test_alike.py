"""One hand, one habit: bins of equal parts, ties together, and what a group's habits say of an account."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.detect.alike import BINS, MOST_AGAINST, MOST_FOR, Habits, alike, bin_habits, concentration

RNG = np.random.default_rng(5)


def everyone(habits: Habits, members: np.ndarray) -> np.ndarray:
    return alike(habits, members, np.arange(len(habits.bins)))


def test_bins_hold_equal_parts_and_equal_values_share_one() -> None:
    habits = bin_habits([RNG.normal(size=1200), np.repeat([0.0, 1.0], [900, 300])])
    assert habits.shares[0] == pytest.approx(1 / BINS, abs=0.01)
    assert sorted(habits.shares[1][habits.shares[1] > 0]) == [0.25, 0.75]


def test_unknown_values_say_nothing() -> None:
    known = RNG.normal(size=400)
    habits = bin_habits([known, np.full(400, np.nan)])
    only = bin_habits([known])
    members = np.arange(0, 40)
    assert everyone(habits, members) == pytest.approx(everyone(only, members))
    assert concentration(habits, members) == pytest.approx(concentration(only, members))


def test_a_shared_habit_tells_members_from_others_and_an_unshared_one_does_not() -> None:
    volume = RNG.lognormal(3, 1, size=2000)
    hours = RNG.normal(size=2000)
    volume[:50] = 35.0
    nats = everyone(bin_habits([volume, hours]), np.arange(50))
    assert nats[:50].mean() > 0.8
    assert nats[50:].mean() < -0.5
    unshared = everyone(bin_habits([hours]), np.arange(50))
    assert abs(unshared[:50].mean()) < 0.3


def test_a_member_does_not_speak_for_itself() -> None:
    volume = RNG.normal(size=1000)
    volume[:30] = 9.0
    volume[30] = -9.0  # the only one of its kind among the members
    habits = bin_habits([volume])
    others = everyone(habits, np.arange(30))[30]
    assert everyone(habits, np.arange(31))[30] == pytest.approx(others)


def test_people_at_random_are_not_alike() -> None:
    habits = bin_habits([RNG.normal(size=3000) for _ in range(16)])
    by_chance = [concentration(habits, RNG.choice(3000, 30, replace=False)) for _ in range(50)]
    assert abs(float(np.mean(by_chance))) < 0.5
    assert max(by_chance) < 3


@given(arrays(np.float64, st.tuples(st.integers(2, 60)), elements=st.floats(-5, 5)), st.data())
def test_what_one_habit_says_is_bounded(values: np.ndarray, data: st.DataObject) -> None:
    members = np.array(sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))))
    nats = everyone(bin_habits([values]), members)
    assert nats.min() >= -MOST_AGAINST
    assert nats.max() <= MOST_FOR
