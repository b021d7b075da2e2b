"""The same-source test against a naive oracle, and its null distribution."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect.same_source import bayes_factor, link, pair_d2, sampled_weights, vectors

CELLS, DIMENSIONS = 64, 8


def centroids(seed: int = 0) -> NDArray[np.float64]:
    z = np.random.default_rng(seed).normal(size=(CELLS, DIMENSIONS))
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))


def histograms(shares: NDArray[np.float64], sizes: NDArray[np.int64], seed: int) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return csr_matrix(
        np.stack([rng.multinomial(n, p) for n, p in zip(sizes, shares, strict=True)]).astype(float)
    )


def population(size: int, seed: int = 1) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return histograms(rng.dirichlet(np.full(CELLS, 0.1), size), rng.integers(20, 80, size), seed + 1)


def test_mean_scatter_and_spread_equal_the_plain_formulas() -> None:
    z, h = centroids(), population(5)
    v = vectors(h, z)
    for i in range(5):
        x = np.repeat(z, h[i].toarray().ravel().astype(int), axis=0)
        covariance = np.cov(x.T)
        assert v.n[i] == len(x)
        assert v.mean[i] == pytest.approx(x.mean(axis=0))
        assert v.trace[i] == pytest.approx(np.trace(covariance))
        biased = np.cov(x.T, bias=True)
        second = float(np.trace(biased @ biased))
        assert v.spread[i] ** 2 == pytest.approx(max(second - v.trace[i] ** 2 / len(x), 0.2 * second))


def test_d2_of_one_list_is_0_within_its_standard_error() -> None:
    z = centroids()
    share = np.random.default_rng(3).dirichlet(np.full(CELLS, 0.5))
    v = vectors(histograms(np.tile(share, (400, 1)), np.full(400, 40), 4), z)
    a, b = np.arange(0, 400, 2), np.arange(1, 400, 2)
    standard = pair_d2(v, a, b) / (v.noise[a] + v.noise[b])
    assert abs(standard.mean()) < 0.25
    assert 0.75 < standard.std() < 1.25


def test_search_finds_what_comparing_every_pair_finds() -> None:
    v = vectors(population(150), centroids())
    factor = bayes_factor(v, np.arange(150))
    found = link(v, factor, 0.5)
    assert np.all(found.a < found.b)
    assert found.d2 == pytest.approx(pair_d2(v, found.a, found.b), abs=1e-5)
    a, b = np.triu_indices(150, 1)
    d2, se = pair_d2(v, a, b), v.noise[a] + v.noise[b]
    rows = np.minimum(np.searchsorted(factor.se, se), len(factor.se) - 1)
    columns = np.clip(((d2 - factor.low) / factor.step + 0.5).astype(int), 0, factor.table.shape[1] - 1)
    weight = np.where(se < factor.se[-1], factor.table[rows, columns], -np.inf)
    # The product is float32: pairs within a step of the threshold may fall on either side.
    assert abs(int((weight >= 0.5).sum()) - len(found.a)) <= 3


def test_accounts_of_one_list_are_linked_and_strangers_are_not() -> None:
    share = np.random.default_rng(5).dirichlet(np.full(CELLS, 0.5))
    together = histograms(np.tile(share, (20, 1)), np.full(20, 60), 6)
    both = csr_matrix(np.concatenate([population(200).toarray(), together.toarray()]))
    v = vectors(both, centroids())
    factor = bayes_factor(v, np.arange(220))
    threshold = float(np.quantile(sampled_weights(v, factor), 0.97))
    found = link(v, factor, max(threshold, 0.3))
    listed = (found.a >= 200) & (found.b >= 200)
    assert listed.sum() > 0.7 * 190
    assert (~listed).sum() < 0.05 * 200 * 219 / 2


def test_accounts_without_scatter_are_never_linked() -> None:
    v = vectors(csr_matrix(np.eye(4, CELLS)), centroids())
    assert np.all(np.isinf(v.noise))
    assert len(link(v, bayes_factor(vectors(population(50), centroids()), np.arange(50)), 0.0).a) == 0
