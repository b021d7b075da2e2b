"""What populations draw with: the shelf, ragged ranges, hashes, evenly spread moments."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.simulate.prompts import Shelf
from pipelines.simulate.randomness import mix, pick, ragged, stream
from pipelines.simulate.tempo import DAY, HOUR, Calendar, Rhythm, spread, within_conversations


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), asked=st.lists(st.integers(0, 4), max_size=60)
)
def test_the_shelf_deals_every_member_before_one_returns(sizes: list[int], asked: list[int]) -> None:
    groups = np.array([a % len(sizes) for a in asked], dtype=np.int64)
    size = np.array(sizes, dtype=np.int64)
    start = np.cumsum(size) - size
    shelf = Shelf(np.arange(size.sum()), start, size)
    cut = len(groups) // 2
    dealt = np.concatenate([shelf.deal(groups[:cut]), shelf.deal(groups[cut:])])
    for group, count in enumerate(sizes):
        own = dealt[groups == group]
        assert set(own) <= set(range(start[group], start[group] + count))
        times = Counter(own.tolist())
        assert (
            max(times.values(), default=0)
            - min((times.get(m, 0) for m in range(start[group], start[group] + count)), default=0)
            <= 1
        )


@given(st.lists(st.integers(0, 5), max_size=20))
def test_ragged_counts_inside_each_group(counts: list[int]) -> None:
    group, position = ragged(np.array(counts, dtype=np.int64))
    assert [(g, p) for g, c in enumerate(counts) for p in range(c)] == list(
        zip(group.tolist(), position.tolist(), strict=True)
    )


def test_pick_follows_the_weights() -> None:
    cumulative = np.array([[0.25, 0.25, 1.0], [0.0, 1.0, 1.0]], dtype=np.float32)
    rows = np.repeat([0, 1], 20_000)
    column = pick(cumulative, rows, np.random.default_rng(1))
    shares = np.bincount(column[:20_000], minlength=3) / 20_000
    assert np.allclose(shares, [0.25, 0.0, 0.75], atol=0.02)
    assert (column[20_000:] == 1).all()


def test_streams_are_independent_and_repeatable() -> None:
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(s, n).random() for s in (1, 2, 2**40) for n in ("a", "b", "a1")}) == 9


def test_mix_has_no_collisions_on_small_numbers() -> None:
    assert len(np.unique(mix(np.arange(100_000), 7))) == 100_000


def test_spread_is_ordered_and_inside() -> None:
    rng = np.random.default_rng(1)
    for evenness in (0.0, 0.5, 1.0):
        times = spread(500, 1_000_000, 2_000_000, rng, evenness)
        assert (np.diff(times) >= 0).all()
        assert times.min() >= 1_000_000
        assert times.max() < 2_000_000
    gaps = [np.diff(spread(500, 0, 10**9, np.random.default_rng(2), e)).std() for e in (0.0, 1.0)]
    assert gaps[1] < 0.7 * gaps[0]


def test_turns_of_a_conversation_are_in_order() -> None:
    rng = np.random.default_rng(1)
    lengths = np.array([1, 3, 2])
    times = within_conversations(lengths, np.array([10, 20, 5]), rng)
    assert times[0] == 10
    assert times[1] == 20
    assert times[1] < times[2] < times[3]
    assert times[4] == 5
    assert times[5] > 5


def test_people_sleep_and_come_after_they_signed_up() -> None:
    calendar = Calendar.of(datetime(2026, 1, 5, tzinfo=UTC), 14)
    rng = np.random.default_rng(1)
    created = np.where(np.arange(300) % 3 == 0, calendar.start + 8 * DAY, calendar.start - DAY)
    zone = np.where(np.arange(300) % 2 == 0, 8.0, -5.0).astype(np.float32)
    rhythm = Rhythm.of_people(calendar, zone, created, rng)
    rows = np.repeat(np.arange(300), 50)
    times = rhythm.moments(rows, calendar, rng)
    local = (times + (zone[rows] * HOUR).astype(np.int64)) % DAY / HOUR
    night = (local > 2) & (local < 6)
    assert night.mean() < 0.06  # a sixth of the day
    late = created[rows] > calendar.start
    # A zone east or west may fold the edge of the first day back, hence a day of slack.
    assert (times[late] >= calendar.start + 7 * DAY).mean() > 0.96
    assert times.min() >= calendar.start
    assert times.max() < calendar.end
