"""Planning is arithmetic: fair, within budget, and nothing is ever skipped or planned twice."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.kafka.plan import Bounds, fair_shares, next_ranges

wants = st.dictionaries(st.integers(0, 20), st.integers(0, 1000), max_size=8)


@given(wants, st.integers(0, 5000))
def test_shares_are_max_min_fair(wanted: dict[int, int], budget: int) -> None:
    shares = fair_shares(wanted, budget)
    assert shares.keys() == wanted.keys()
    assert all(0 <= shares[k] <= wanted[k] for k in wanted)
    assert sum(shares.values()) == min(budget, sum(wanted.values()))
    # Whoever did not get all it wanted got at least as much as anybody else, but for one of rounding.
    for k in wanted:
        if shares[k] < wanted[k]:
            assert all(shares[k] >= shares[other] - 1 for other in wanted)


bounds = st.builds(
    lambda log_start, length, committed, first: Bounds(
        log_start, log_start + length, committed, min(log_start + first, log_start + length)
    ),
    st.integers(0, 500),
    st.integers(0, 500),
    st.none() | st.integers(0, 1000),
    st.integers(0, 500),
)


@given(st.dictionaries(st.integers(0, 6), bounds, max_size=5), st.integers(1, 300))
def test_ranges_start_where_the_lake_stands(partitions: dict[int, Bounds], budget: int) -> None:
    ranges = next_ranges(partitions, budget)
    new = [number for number, b in partitions.items() if b.end > b.start]
    for number, (start, end) in ranges.items():
        b = partitions[number]
        assert start == b.start < end <= b.end
    assert set(ranges) == set(new), "nobody with something new is left waiting"
    readable = sum(end - max(start, partitions[n].log_start) for n, (start, end) in ranges.items())
    assert readable <= max(budget, len(new))


@given(bounds, st.integers(1, 100))
def test_repeated_plans_reach_the_end(b: Bounds, budget: int) -> None:
    position = b.committed
    for _ in range(2000):
        ranges = next_ranges({0: Bounds(b.log_start, b.end, position, b.first)}, budget)
        if not ranges:
            break
        position = ranges[0][1]
    assert position is None or position >= b.end


def test_a_lost_range_is_told_only_to_those_who_stand_before_it() -> None:
    assert Bounds(40, 60, 10, 40).lost == ((10, 40),)
    assert Bounds(40, 60, 40, 40).lost == ()
    assert Bounds(40, 60, None, 40).lost == (), "a new reader has lost nothing"
    assert Bounds(40, 60, 10, 40).lag == 20
