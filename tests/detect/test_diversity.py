"""Diversity estimators against R iNEXT's figures for its spider data, and against plain enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.detect import diversity
from pipelines.detect.diversity import Abundances

GIRDLED = [46, 22, 17, 15, 15, 9, 8, 6, 6, 4, 2, 2, 2, 2] + [1] * 12
LOGGED = [88, 22, 16, 15, 13, 10, 8, 8, 7, 7, 7, 5, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2] + [1] * 14
# Spiders in hemlock forests (Sackett et al. 2011), the example of Chao & Jost 2012 and of iNEXT.

# iNEXT 3.0.2: iNEXT(spider$Girdled, q = c(0, 1, 2), size = ...): size, q0, q1, q2, sample coverage.
GIRDLED_CURVE = [
    (1, 1.0, 1.0, 1.0, 0.1223268),
    (10, 6.478617, 5.608968, 4.759772, 0.5969308),
    (50, 15.030098, 9.939329, 7.148973, 0.8674807),
    (100, 20.459426, 11.266546, 7.627561, 0.9072004),
    (167, 25.928571, 12.051422, 7.838078, 0.9285714),
    (168, 26.0, 12.05965, 7.84, 0.9288554),
    (169, 26.071145, 12.06784, 7.841901, 0.9291383),
    (200, 28.141739, 12.303742, 7.891717, 0.9373713),
    (336, 34.730733, 13.016966, 8.003912, 0.9635701),
]


def csr(*samples: list[int]) -> Abundances:
    return Abundances(
        np.concatenate(([0], np.cumsum([len(s) for s in samples]))).astype(np.int64),
        np.array([x for s in samples for x in s], dtype=np.int64),
    )


SPIDERS = csr(GIRDLED, LOGGED)


def test_summary_is_inexts() -> None:
    assert SPIDERS.individuals.tolist() == [168, 252]
    assert SPIDERS.species.tolist() == [26, 37]
    assert SPIDERS.occurring(1).tolist() == [12, 14]
    assert SPIDERS.occurring(2).tolist() == [4, 4]
    np.testing.assert_allclose(diversity.sample_coverage(SPIDERS), [0.9289, 0.9446], atol=5e-5)


def test_asymptotes_are_inexts() -> None:
    np.testing.assert_allclose(diversity.chao1(SPIDERS), [43.893, 61.403], atol=5e-4)
    assert diversity.shannon(SPIDERS)[0] == pytest.approx(2.627, abs=5e-4)
    assert 1 - 1 / diversity.asymptotic(SPIDERS, 2)[0] == pytest.approx(0.878, abs=5e-4)


@pytest.mark.parametrize(("size", "q0", "q1", "q2", "coverage"), GIRDLED_CURVE)
def test_curve_is_inexts(size: int, q0: float, q1: float, q2: float, coverage: float) -> None:
    for order, expected in enumerate((q0, q1, q2)):
        assert diversity.at_size(SPIDERS, size, order)[0] == pytest.approx(expected, abs=5e-5)
    assert diversity.coverage_at(SPIDERS, size)[0] == pytest.approx(coverage, abs=5e-7)


def test_equal_coverage_inverts_the_curve() -> None:
    for size, q0, q1, q2, coverage in GIRDLED_CURVE[1:-1]:
        got = [at[0] for at in diversity.at_coverage(SPIDERS, coverage, range(3))]
        # iNEXT prints coverage to 7 places, which is a little of a step of the curve
        np.testing.assert_allclose(got, [q0, q1, q2], rtol=2e-4, err_msg=str(size))


def test_beyond_twice_the_sample_is_unavailable() -> None:
    assert np.isnan(diversity.at_size(SPIDERS, 337, 0)[0])
    assert np.isfinite(diversity.at_size(SPIDERS, 337, 0)[1])
    assert np.isnan(diversity.at_coverage(SPIDERS, 0.99, [0])).all()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_rarefaction_equals_the_mean_over_all_subsets(counts: list[int], data: st.DataObject) -> None:
    population = [species for species, x in enumerate(counts) for _ in range(x)]
    m = data.draw(st.integers(1, len(population)))
    subsets = list(itertools.combinations(population, m))
    richness = sum(len(set(s)) for s in subsets) / len(subsets)
    shares = [[s.count(species) / m for species in set(s)] for s in subsets]
    entropy = sum(-sum(p * math.log(p) for p in ps) for ps in shares) / len(subsets)
    concentration = sum(sum(p * p for p in ps) for ps in shares) / len(subsets)
    a = csr(counts)
    assert diversity.at_size(a, m, 0)[0] == pytest.approx(richness)
    assert diversity.at_size(a, m, 1)[0] == pytest.approx(math.exp(entropy))
    assert diversity.at_size(a, m, 2)[0] == pytest.approx(1 / concentration)


def test_shannon_equals_the_formula_as_published() -> None:
    n, f1, f2 = 252, 14, 4
    a = 2 * f2 / ((n - 1) * f1 + 2 * f2)
    seen = sum(x / n * sum(1 / k for k in range(x, n)) for x in LOGGED)
    rest = -math.log(a) - sum((1 - a) ** r / r for r in range(1, n))
    assert diversity.shannon(SPIDERS)[1] == pytest.approx(seen + f1 / n * (1 - a) ** (1 - n) * rest, rel=1e-6)


@given(st.lists(st.lists(st.integers(1, 30), max_size=8), min_size=1, max_size=5))
def test_samples_do_not_influence_each_other(samples: list[list[int]]) -> None:
    together = csr(*samples)
    for order in range(3):
        sized, covered = (
            diversity.at_size(together, 5, order),
            diversity.at_coverage(together, 0.5, [order])[0],
        )
        np.testing.assert_array_equal(sized, [diversity.at_size(csr(s), 5, order)[0] for s in samples])
        alone = [diversity.at_coverage(csr(s), 0.5, [order])[0][0] for s in samples]
        np.testing.assert_array_equal(covered, alone)
    coverage = diversity.sample_coverage(together)
    assert np.all(np.isnan(coverage) == (together.individuals == 0))
    assert np.all((coverage[~np.isnan(coverage)] >= 0) & (coverage[~np.isnan(coverage)] <= 1))
