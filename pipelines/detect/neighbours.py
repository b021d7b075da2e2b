"""Who is linked to whom.

Belongs here: the compressed adjacency of links. Not here: what a link is (`same_source`), what links show of a group.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.detect.same_source import Links

Neighbours = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Compressed adjacency: (offsets int64[accounts + 1], neighbours int32)."""


def neighbours_of(links: Links, size: int) -> Neighbours:
    """Who is linked to whom, both ways; neighbours of an account ascend."""
    degree = np.bincount(links.a, minlength=size) + np.bincount(links.b, minlength=size)
    offsets = np.concatenate(([0], np.cumsum(degree))).astype(np.int64)
    neighbours = np.empty(int(offsets[-1]), dtype=np.int32)
    _neighbours(links.a, links.b, offsets[:-1].copy(), neighbours)
    return offsets, neighbours


@njit(cache=True, nogil=True)
def _neighbours(
    a: NDArray[np.int32], b: NDArray[np.int32], free: NDArray[np.int64], out: NDArray[np.int32]
) -> None:
    """Links are ordered by a and b, so those that come before an account are written first, in order."""
    for i in range(len(a)):
        out[free[b[i]]] = a[i]
        free[b[i]] += 1
    for i in range(len(a)):
        out[free[a[i]]] = b[i]
        free[a[i]] += 1


def linked_pairs(nearby: Neighbours, members: NDArray[np.int64]) -> int:
    """How many pairs of members (int64[k], distinct) are linked."""
    return int(_linked_pairs(*nearby, members, np.zeros(len(nearby[0]) - 1, dtype=np.bool_))) // 2


@njit(cache=True, nogil=True)
def _linked_pairs(
    offsets: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    members: NDArray[np.int64],
    inside: NDArray[np.bool_],
) -> int:
    count = 0
    for member in members:
        inside[member] = True
    for member in members:
        for k in range(offsets[member], offsets[member + 1]):
            count += inside[neighbours[k]]
    return count
