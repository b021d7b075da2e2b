"""Which pairs are worth comparing when all pairs are too many: inverted lists over the accounts' means.

Means are clustered (k-means on a sample); an account *lives* in its HOMES nearest clusters and is *seen* from its
nearest few more. A pair is compared when one of the two is seen where the other lives (an inverted file with several
assignments, Jegou et al. 2011, IEEE PAMI 33:117). Links join means that lie close together, so few are lost: against
all pairs of 20,000 accounts of real prompts .975 to .999 of the links inside campaigns were kept over the four views,
and .78 to .91 of all links, those lost being the weakest.

Belongs here: clusters and lists. Not here: what makes a pair a link (`same_source`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Means = NDArray[np.float32]

HOMES: Final = 2
"""Clusters in which an account lives."""
PER_CLUSTER: Final = 250
"""Accounts per cluster that is aimed at, up to MOST_CLUSTERS: the cost of the clustering against that of pairs."""
LEAST_CLUSTERS: Final = 64
MOST_CLUSTERS: Final = 2048
_SAMPLE: Final = 64
"""Accounts per cluster that the clusters are fitted to."""
_STEPS: Final = 8
_BATCH: Final = 16_384


@dataclass(frozen=True)
class Blocks:
    """nearest: int32[accounts, P], the nearest clusters of each account, nearest first. clusters: how many."""

    nearest: NDArray[np.int32]
    clusters: int

    def __iter__(self) -> Iterator[tuple[int, Ints, Ints]]:
        """(cluster, accounts that live there, accounts seen from there), ascending; the former are among the latter."""
        living, seen = _lists(self.nearest[:, :HOMES], self.clusters), _lists(self.nearest, self.clusters)
        for cluster in range(self.clusters):
            yield cluster, next(living), next(seen)


def _lists(nearest: NDArray[np.int32], clusters: int) -> Iterator[Ints]:
    owner = np.repeat(np.arange(len(nearest), dtype=np.int64), nearest.shape[1])
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.searchsorted(nearest.ravel()[order], np.arange(clusters + 1))
    for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        yield owner[order[begin:end]]


def block(mean: Means, seed: int = 0) -> Blocks:
    """Clusters for means float32[accounts, d]. The same means give the same blocks."""
    wanted = 1 << int(np.round(np.log2(max(len(mean) / PER_CLUSTER, 1))))
    clusters = min(max(wanted, LEAST_CLUSTERS), MOST_CLUSTERS)
    # Smaller clusters have more neighbours within the reach of a link.
    reach = 8 * max(1.0, clusters / 256) ** (1 / 3)
    centres = _centres(mean, clusters, np.random.default_rng(seed))
    return Blocks(_nearest(mean, centres, min(int(reach), clusters)), clusters)


def _centres(mean: Means, clusters: int, rng: np.random.Generator) -> Means:
    """k-means (Lloyd) on a sample; a cluster that loses all its accounts keeps its place."""
    size = min(len(mean), clusters * _SAMPLE)
    sample = mean[np.sort(rng.choice(len(mean), size, replace=False))]
    centres = sample[np.sort(rng.choice(size, clusters, replace=False))]
    for _ in range(_STEPS):
        label = _nearest(sample, centres, 1)[:, 0]
        order = np.argsort(label, kind="stable")
        used, first = np.unique(label[order], return_index=True)
        sums = np.add.reduceat(sample[order].astype(np.float64), first, axis=0)
        centres = centres.copy()
        centres[used] = sums / np.diff(np.append(first, size))[:, None]
    return centres


def _nearest(mean: Means, centres: Means, count: int) -> NDArray[np.int32]:
    """The nearest centres of each mean, int32[n, count], nearest first; ties go to the smaller number."""
    half = 0.5 * (centres**2).sum(axis=1)
    out = np.empty((len(mean), count), dtype=np.int32)
    for begin in range(0, len(mean), _BATCH):
        apart = half - mean[begin : begin + _BATCH] @ centres.T
        if count == 1:
            out[begin : begin + _BATCH, 0] = np.argmin(apart, axis=1)
            continue
        few = np.sort(np.argpartition(apart, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(apart, few, axis=1), axis=1, kind="stable")
        out[begin : begin + _BATCH] = np.take_along_axis(few, order, axis=1)
    return out
