"""Communities, homogeneity and the cut."""

import numpy as np
import pytest

from pipelines.detect.communities import LINKS_PER_ACCOUNT, cut, leiden, phi, split, strongest
from pipelines.detect.same_source import Links, vectors
from tests.detect.test_same_source import CELLS, centroids, histograms


def clique(*groups: range) -> Links:
    pairs = [(a, b) for group in groups for a in group for b in group if a < b]
    a, b = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return Links(a, b, np.ones(len(a)), np.zeros(len(a)))


def test_cliques_are_communities() -> None:
    found = leiden(clique(range(5), range(7, 12)), (0.4,), seed=0)
    assert [g.tolist() for g in found] == [[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]]


def test_same_seed_same_communities() -> None:
    rng = np.random.default_rng(0)
    a, b = np.triu_indices(80, 1)
    kept = rng.random(len(a)) < np.where(a // 20 == b // 20, 0.6, 0.05)
    links = Links(
        a[kept].astype(np.int64), b[kept].astype(np.int64), np.ones(kept.sum()), np.zeros(kept.sum())
    )
    first, second = (leiden(links, (0.2, 0.4), seed=3) for _ in range(2))
    assert [g.tolist() for g in first] == [g.tolist() for g in second]


def test_no_links_no_communities() -> None:
    none = np.empty(0, dtype=np.int64)
    assert leiden(Links(none, none, np.empty(0), np.empty(0)), (0.2,), seed=0) == []


def test_phi_is_1_for_one_list_and_more_for_two() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(CELLS, 0.5), 2)
    one = vectors(histograms(np.tile(shares[0], (60, 1)), np.full(60, 40), 2), centroids())
    two = vectors(histograms(np.repeat(shares, 30, axis=0), np.full(60, 40), 3), centroids())
    assert phi(one) == pytest.approx(1.0, abs=0.15)
    assert phi(two) > 1.5


def test_two_lists_are_cut_apart_and_one_list_is_not() -> None:
    shares = np.random.default_rng(1).dirichlet(np.full(CELLS, 0.5), 2)
    v = vectors(histograms(np.repeat(shares, 30, axis=0), np.full(60, 40), 3), centroids())
    side = split(v)
    assert len(set(side[:30])) == 1
    assert len(set(side[30:])) == 1
    assert side[0] != side[30]
    parts = cut(v, [np.arange(60)])
    leaves = [p.members.tolist() for p in parts if p.parent == 0]
    assert sorted(leaves) == [list(range(30)), list(range(30, 60))]
    assert len(cut(v.take(np.arange(30)), [np.arange(30)])) == 1


def test_of_very_many_links_the_strongest_are_kept_and_few_links_are_left_alone() -> None:
    rng = np.random.default_rng(4)
    a, b = np.triu_indices(400, 1)
    links = Links(a, b, np.round(rng.random(len(a)), 3), np.zeros(len(a)))
    assert strongest(links, len(a)) is links
    kept = strongest(links, 10_000)
    # At least as many as each account may have, and ties with the weakest of them.
    assert 10_000 <= len(kept.a) < 10_000 + 400
    assert kept.weight.min() > np.sort(links.weight)[::-1][len(kept.a)]
    assert len(strongest(links, 100).a) >= 400 * LINKS_PER_ACCOUNT
    assert np.all(np.diff(kept.a << 32 | kept.b) > 0)
