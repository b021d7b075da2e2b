"""Calibration against naive oracles, and what it promises when nothing is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.detect import calibrate
from pipelines.detect.calibrate import Tail

VALUES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, np.nan])), min_size=1, max_size=25
)


def naive_p(values: np.ndarray, stratum: np.ndarray, i: int, tail: Tail, peers: np.ndarray) -> float:
    if np.isnan(values[i]):
        return float("nan")
    others = [
        values[j]
        for j in range(len(values))
        if j != i and peers[j] and stratum[j] == stratum[i] and not np.isnan(values[j])
    ]
    high = (1 + sum(v >= values[i] for v in others)) / (len(others) + 1)
    low = (1 + sum(v <= values[i] for v in others)) / (len(others) + 1)
    return float({"high": high, "low": low, "both": min(1.0, 2 * min(high, low))}[tail])


@given(VALUES, st.sampled_from(["high", "low", "both"]), st.randoms(use_true_random=False))
def test_rank_equals_the_naive_one(pairs: list[tuple[int, float]], tail: Tail, random: object) -> None:
    stratum = np.array([p[0] for p in pairs])
    values = np.array([p[1] for p in pairs])
    peers = np.array([random.random() < 0.7 for _ in pairs])  # type: ignore[attr-defined]
    ranked = calibrate.rank(values, stratum, tail, peers)
    np.testing.assert_allclose(
        ranked.p, [naive_p(values, stratum, i, tail, peers) for i in range(len(values))]
    )
    for i in range(len(values)):
        group = values[(stratum == stratum[i]) & peers & ~np.isnan(values)]
        if np.isnan(values[i]) or len(group) == 0:
            assert np.isnan(ranked.median[i])
        else:
            assert ranked.median[i] == pytest.approx(np.median(group))


def test_p_never_falls_below_one_over_peers_plus_one() -> None:
    values = np.arange(40.0)
    p = calibrate.rank(values, np.zeros(40, dtype=np.int64), "high").p
    assert p.min() == pytest.approx(1 / 40)
    assert calibrate.rank(np.array([3.0]), np.zeros(1, dtype=np.int64), "high").p[0] == 1


def test_percentile_counts_peers_below() -> None:
    ranked = calibrate.rank(np.array([1.0, 2.0, 3.0]), np.zeros(3, dtype=np.int64), "high")
    assert ranked.percentile.tolist() == [0, 50, 100]
    assert ranked.median.tolist() == [2, 2, 2]


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=5, max_size=60, unique=True), st.randoms())
def test_order_of_accounts_does_not_matter(values: list[float], random: object) -> None:
    v = np.array(values)
    stratum = np.arange(len(v)) % 3
    order = np.arange(len(v))
    random.shuffle(order)  # type: ignore[attr-defined]
    there, here = calibrate.rank(v[order], stratum[order], "both"), calibrate.rank(v, stratum, "both")
    np.testing.assert_array_equal(there.p, here.p[order])
    np.testing.assert_array_equal(there.median, here.median[order])


def test_strata_are_a_partition_with_enough_peers() -> None:
    rng = np.random.default_rng(1)
    requests = rng.lognormal(3, 1, 4000).astype(np.int64)
    age = np.where(rng.random(4000) < 0.2, np.nan, rng.exponential(200, 4000))
    surface = rng.choice([-1, 5, 7, 9], 4000, p=[0.02, 0.5, 0.4, 0.08])
    stratum = calibrate.strata(requests, age, surface)
    assert np.bincount(stratum).min() >= calibrate.MIN_PEERS
    assert stratum.max() > 20
    few = calibrate.strata(requests[:30], age[:30], surface[:30])
    assert few.tolist() == [0] * 30
    for s in range(stratum.max() + 1):  # of one volume, unless pooled over volumes
        spread = np.quantile(requests[stratum == s], [0, 1])
        deciles = np.searchsorted(np.quantile(requests, np.arange(1, 10) / 10), spread, side="right")
        assert (
            deciles[0] == deciles[1]
            or np.isnan(age[stratum == s]).any()
            or len(set(surface[stratum == s])) > 1
        )


def test_strata_without_accounts() -> None:
    none = np.empty(0)
    assert len(calibrate.strata(none.astype(np.int64), none, none.astype(np.int64))) == 0


@given(st.floats(1e-6, 0.98), st.integers(1, 6))
def test_cauchy_of_equal_p_is_that_p(p: float, times: int) -> None:
    assert calibrate.cauchy([np.array([p])] * times)[0] == pytest.approx(p, rel=1e-6)


def test_cauchy_leaves_missing_ones_out() -> None:
    p = calibrate.cauchy([np.array([0.01, np.nan]), np.array([np.nan, np.nan])])
    assert p[0] == pytest.approx(0.01)
    assert np.isnan(p[1])


def test_family_p_is_uniform_however_statistics_hang_together() -> None:
    rng = np.random.default_rng(2)
    n = 3000
    common = rng.normal(size=n)
    stratum = np.arange(n) % 7
    p_values = [
        calibrate.rank(common + 0.2 * rng.normal(size=n), stratum, tail).middle
        for tail in ("high", "low", "both")
    ]
    p = calibrate.family_p(p_values, stratum)
    deviation = np.abs(np.sort(p) - np.arange(1, n + 1) / n).max()
    assert deviation < 0.01, f"Kolmogorov deviation {deviation:.4f}"


def test_e_value_has_mean_one_over_uniform_p() -> None:
    grid = (np.arange(1_000_000) + 0.5) / 1_000_000
    assert np.exp(calibrate.log_e(grid)).mean() == pytest.approx(1, abs=2e-3)
    assert calibrate.log_e(np.array([np.nan]))[0] == 0


@given(
    st.lists(
        st.lists(st.one_of(st.just(float("nan")), st.floats(1e-4, 1)), min_size=3, max_size=3), min_size=1
    )
)
def test_contributions_add_up_and_are_bounded(p_values: list[list[float]]) -> None:
    columns = [np.array([row[k] for row in p_values]) for k in range(3)]
    p = np.where(np.all(np.isnan(columns), axis=0), np.nan, 0.003)
    for family, prevalence in calibrate.PREVALENCE.items():
        for q in (p, np.where(np.isnan(p), np.nan, 0.9)):
            parts = calibrate.contributions(family, q, columns)
            total = np.sum(parts, axis=0)
            e = np.where(np.isnan(q), 1.0, np.exp(calibrate.log_e(q)))
            expected = np.minimum(np.log(1 - prevalence + prevalence * e), calibrate.CEILING)
            np.testing.assert_allclose(total, expected, atol=1e-12)
            for part, column in zip(parts, columns, strict=True):
                assert np.all(part[np.isnan(column)] == 0)


@given(st.lists(st.floats(-5, 12), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_e_bh_equals_the_naive_one(logs: list[float], alpha: float) -> None:
    e = np.array(logs)
    n = len(e)
    best = max((k for k in range(1, n + 1) if np.sort(e)[::-1][k - 1] >= np.log(n / (alpha * k))), default=0)
    chosen = calibrate.e_bh(e, alpha)
    expected = e >= np.sort(e)[::-1][best - 1] if best else np.zeros(n, dtype=bool)
    np.testing.assert_array_equal(chosen, expected)


def test_e_bh_keeps_its_rate_with_strongly_dependent_nulls() -> None:
    rng = np.random.default_rng(3)
    alpha, shares, found = 0.1, [], 0
    for _ in range(200):
        common = rng.random()
        p = np.where(rng.random(1000) < 0.5, common, rng.random(1000))  # half of the nulls share one p
        p[:20] = 1e-7
        rejected = calibrate.e_bh(calibrate.log_e(p), alpha)
        found += int(rejected[:20].sum())
        shares.append(rejected[20:].sum() / max(rejected.sum(), 1))
    assert np.mean(shares) <= alpha
    assert found == 20 * 200


@given(st.lists(st.floats(-5, 12), min_size=1, max_size=30), st.integers(0, 20))
def test_false_discovery_rate_equals_the_naive_one(logs: list[float], more: int) -> None:
    e = np.exp(np.array(logs))
    tested = len(e) + more
    falling = np.sort(e)[::-1]
    rates = calibrate.false_discovery_rate(np.array(logs), tested)
    for i, own in enumerate(e):
        places = [k for k in range(1, len(e) + 1) if falling[k - 1] <= own]
        # the last of equal values stands for all of them
        places = [k for k in places if k == len(e) or falling[k] < falling[k - 1]]
        naive = min(1.0, min(tested / (k * falling[k - 1]) for k in places))
        assert rates[i] == pytest.approx(naive, rel=1e-9)


def test_what_lies_beyond_the_usual_has_mean_one_under_the_null_and_grows_beyond_it() -> None:
    rng = np.random.default_rng(6)
    null = calibrate.beyond_the_usual(rng.normal(-1.5, 0.7, 4_000_000), -1.5, 0.7)
    assert np.exp(null).mean() == pytest.approx(1, abs=0.15)  # heavy-tailed: few draws carry most of the mean
    assert calibrate.beyond_the_usual(np.array([-1.5 + 4 * 0.7]), -1.5, 0.7)[0] == pytest.approx(7.5)
    assert calibrate.beyond_the_usual(np.array([np.nan]), -1.5, 0.7)[0] == 0


def test_the_usual_is_found_in_spite_of_some_unusual_ones_and_never_falls_below_what_was_stated() -> None:
    rng = np.random.default_rng(7)
    values = np.concatenate([rng.normal(2, 1, 900), rng.normal(9, 1, 60), [np.nan] * 10])
    location, scale = calibrate.usual(values, 0.0, 0.5)
    assert location == pytest.approx(2, abs=0.2)
    assert scale == pytest.approx(1, abs=0.2)
    assert calibrate.usual(values, 5.0, 3.0) == (5.0, 3.0)
    assert calibrate.usual(values[:19], 5.0, 3.0) == (5.0, 3.0)


def test_mean_of_e_values() -> None:
    mean = calibrate.mean_log_e(np.log([1.0, 8.0]), np.log([3.0, 2.0]))
    np.testing.assert_allclose(np.exp(mean), [2.0, 5.0])


def test_accumulated_e_values_rarely_grow_without_cause_and_do_with_one() -> None:
    """Ville: an accumulated e-value of an ordinary account ever reaches 1/alpha with chance at most alpha."""
    rng = np.random.default_rng(4)
    log_e, reached = np.zeros(4000), np.zeros(4000, dtype=bool)
    slow = np.zeros(1)
    best = 0.0
    for _ in range(45):
        log_e = calibrate.accumulate(log_e, calibrate.log_e(rng.random(4000)), 14, 14)
        reached |= log_e >= np.log(1 / 0.05)
        slow = calibrate.accumulate(slow, calibrate.log_e(np.array([0.03])), 14, 14)
        best = max(best, float(slow[0]))
    assert reached.mean() <= 0.05
    assert best > 3 * calibrate.log_e(np.array([0.03]))[0]


def test_daily_rankings_that_see_the_same_fortnight_do_not_multiply() -> None:
    """Neighbouring rankings overlap: the same p day after day counts once per horizon, not once per day."""
    rng = np.random.default_rng(5)
    one_p = calibrate.log_e(rng.random(20_000))
    log_e = np.zeros(20_000)
    for _ in range(14):
        log_e = calibrate.accumulate(log_e, one_p, 1, 14)
    assert np.all(log_e <= np.maximum(one_p, 0) + 1e-12)
    assert np.exp(log_e).mean() <= 1.0


def test_times_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="times in order"):
        calibrate.accumulate(np.zeros(1), np.zeros(1), -1, 14)
