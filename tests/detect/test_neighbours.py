"""Linked pairs of a group."""

from itertools import combinations

import numpy as np

from pipelines.detect.neighbours import linked_pairs, neighbours_of
from pipelines.detect.same_source import Links


def test_linked_pairs_count_once() -> None:
    rng = np.random.default_rng(3)
    pairs = [pair for pair in combinations(range(40), 2) if rng.random() < 0.3]
    a, b = np.array(pairs).T
    nearby = neighbours_of(Links(a, b, np.ones(len(a)), np.zeros(len(a))), 40)
    for size in (2, 7, 40):
        members = np.sort(rng.choice(40, size, replace=False))
        chosen = list(combinations(members.tolist(), 2))
        assert linked_pairs(nearby, members) == sum(pair in set(pairs) for pair in chosen)
