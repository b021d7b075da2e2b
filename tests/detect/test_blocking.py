"""The approximate search over pairs against all pairs."""

import numpy as np
from scipy.sparse import csr_matrix

from pipelines.detect.blocking import HOMES, LEAST_CLUSTERS, block
from pipelines.detect.same_source import bayes_factor, link, sampled_weights, vectors
from tests.detect.test_same_source import CELLS, centroids, histograms, population

GROUPS, MEMBERS = 8, 30


def world(people: int) -> tuple[csr_matrix, np.ndarray]:
    """People, then groups that draw on one list each; the group of each account, -1 for people."""
    rng = np.random.default_rng(8)
    lists = rng.dirichlet(np.full(CELLS, 0.4), GROUPS)
    members = histograms(np.repeat(lists, MEMBERS, axis=0), np.full(GROUPS * MEMBERS, 40), 9)
    both = np.concatenate([population(people).toarray(), members.toarray()])
    return csr_matrix(both), np.repeat(np.arange(-1, GROUPS), [people, *[MEMBERS] * GROUPS])


def test_links_inside_planted_groups_are_kept_and_none_is_made_up() -> None:
    histogram, group = world(2_500)
    v = vectors(histogram, centroids())
    factor = bayes_factor(v, np.arange(len(group)))
    threshold = float(np.quantile(sampled_weights(v, factor), 0.97))
    every, some = link(v, factor, threshold), link(v, factor, threshold, exact=0)
    keys = [links.a.astype(np.int64) << 32 | links.b for links in (every, some)]
    kept = np.isin(keys[0], keys[1])
    planted = (group[every.a] >= 0) & (group[every.a] == group[every.b])
    assert planted.sum() > 1_500
    assert kept[planted].mean() >= 0.95
    assert kept.mean() >= 0.5
    # Each pair once, a < b, in order, and with the weight that comparing all pairs gives it.
    assert np.all(np.diff(keys[1]) > 0)
    assert np.all(some.a < some.b)
    assert np.isin(keys[1], keys[0]).all()
    assert np.allclose(some.weight, every.weight[kept])


def test_the_same_means_give_the_same_blocks() -> None:
    mean = np.random.default_rng(1).normal(size=(1_000, 16)).astype(np.float32)
    first, again = block(mean), block(mean)
    assert np.array_equal(first.nearest, again.nearest)


def test_blocks_name_the_nearest_clusters_in_order() -> None:
    mean = np.random.default_rng(2).normal(size=(3_000, 8)).astype(np.float32)
    blocks = block(mean)
    assert blocks.clusters == LEAST_CLUSTERS
    lists = {cluster: (set(living.tolist()), set(seen.tolist())) for cluster, living, seen in blocks}
    assert len(lists) == LEAST_CLUSTERS
    for account in range(0, 3_000, 97):
        near = blocks.nearest[account].tolist()
        assert len(set(near)) == len(near)
        assert {c for c, (living, _) in lists.items() if account in living} == set(near[:HOMES])
        assert {c for c, (_, seen) in lists.items() if account in seen} == set(near)


def test_accounts_that_are_all_alike_are_blocked_too() -> None:
    blocks = block(np.ones((500, 4), dtype=np.float32))
    assert sum(len(living) for _, living, _ in blocks) == 500 * HOMES
