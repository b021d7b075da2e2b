"""k-means, as the quantiser of a prompt map needs it: k-means++ (Arthur and Vassilvitskii 2007, with greedy trials)
and Lloyd's iterations.

The same algorithm and the same order of sums as `sklearn.cluster.KMeans(k, n_init=1, max_iter=30)` on one thread,
which a test holds it against. scikit-learn itself takes two seconds to import, a sixth of what a follower of a new
lake needs to its first row.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

MOST_ITERATIONS: Final = 30
TOLERANCE: Final = 1e-4
"""Of the mean variance: Lloyd's iterations end when the centroids together moved less."""
_CHUNK: Final = 256
_PIECE: Final = 2048


def kmeans(points: NDArray[np.float32], k: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Centroids float32[k, d] and the label of each point, int32[n], of points float32[n, d] with n >= k."""
    tolerance = float(np.mean(np.var(points, axis=0)) * TOLERANCE)
    mean = points.mean(axis=0)
    centred = points - mean
    centroids, labels = _lloyd(centred, _plus_plus(centred, k, seed), tolerance)
    return centroids + mean, labels


def _plus_plus(points: NDArray[np.float32], k: int, seed: int) -> NDArray[np.float32]:
    """Seeds far from each other: each the best of a few points drawn by squared distance to the seeds so far."""
    random = np.random.RandomState(seed)
    count = len(points)
    trials = 2 + int(np.log(k))
    ones = np.ones(count, dtype=np.float32)
    centroids = np.empty((k, points.shape[1]), dtype=np.float32)
    centroids[0] = points[random.choice(count, p=ones / ones.sum())]
    nearest = _squared_distances(centroids[:1], points)
    potential = nearest @ ones
    for place in range(1, k):
        drawn = random.uniform(size=trials) * potential
        tried = np.searchsorted(np.cumsum(ones * nearest), drawn)
        np.clip(tried, None, count - 1, out=tried)
        distances = np.minimum(nearest, _squared_distances(points[tried], points))
        potentials = distances @ ones.reshape(-1, 1)
        best = np.argmin(potentials)
        potential = potentials[best]
        nearest = distances[best]
        centroids[place] = points[tried[best]]
    return centroids


def _squared_distances(few: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[m, n], computed in double precision a piece at a time."""
    near = few.astype(np.float64)
    norms = np.einsum("ij,ij->i", near, near)[:, None]
    distances = np.empty((len(few), len(points)), dtype=np.float32)
    for begin in range(0, len(points), _PIECE):
        piece = points[begin : begin + _PIECE].astype(np.float64)
        products = -2 * (near @ piece.T)
        products += norms
        products += np.einsum("ij,ij->i", piece, piece)[None, :]
        distances[:, begin : begin + _PIECE] = products
    return np.maximum(distances, 0, out=distances)


def _lloyd(
    points: NDArray[np.float32], centroids: NDArray[np.float32], tolerance: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    labels = np.full(len(points), -1, dtype=np.int32)
    before = labels.copy()
    sums = np.empty_like(centroids)
    sizes = np.empty(len(centroids), dtype=np.float32)
    for _ in range(MOST_ITERATIONS):
        _assign(points, centroids, np.einsum("ij,ij->i", centroids, centroids), labels, sums, sizes)
        moved = _means(points, centroids, sums, sizes, labels)
        shift = float((np.linalg.norm(moved - centroids, axis=1) ** 2).sum())
        centroids = moved
        if np.array_equal(labels, before):
            return centroids, labels
        if shift <= tolerance:
            break
        before[:] = labels
    _assign(points, centroids, np.einsum("ij,ij->i", centroids, centroids), labels, sums, sizes)
    return centroids, labels


@njit(cache=True, nogil=True)
def _assign(
    points: NDArray[np.float32],
    centroids: NDArray[np.float32],
    norms: NDArray[np.float32],
    labels: NDArray[np.int32],
    sums: NDArray[np.float32],
    sizes: NDArray[np.float32],
) -> None:
    """The nearest centroid of each point, and the sum and number of the points of each centroid, in order."""
    sums[:] = 0
    sizes[:] = 0
    for begin in range(0, len(points), _CHUNK):
        chunk = points[begin : begin + _CHUNK]
        products = np.dot(chunk, centroids.T)
        for i in range(len(chunk)):
            least = norms[0] - np.float32(2) * products[i, 0]
            label = 0
            for j in range(1, len(centroids)):
                distance = norms[j] - np.float32(2) * products[i, j]
                if distance < least:
                    least = distance
                    label = j
            labels[begin + i] = label
            sizes[label] += np.float32(1)
            for d in range(points.shape[1]):
                sums[label, d] += chunk[i, d]


def _means(
    points: NDArray[np.float32],
    centroids: NDArray[np.float32],
    sums: NDArray[np.float32],
    sizes: NDArray[np.float32],
    labels: NDArray[np.int32],
) -> NDArray[np.float32]:
    """The mean of each centroid's points; one without any takes over a point that is far from its own."""
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        distances = ((points - centroids[labels]) ** 2).sum(axis=1)
        far = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        if distances.max() > 0:
            for new, place in zip(empty, far, strict=True):
                sums[labels[place]] -= points[place]
                sums[new] = points[place]
                sizes[new] = 1
                sizes[labels[place]] -= 1
    shares = (1 / np.maximum(sizes, 1)).astype(np.float32)
    means = sums * shares[:, None]
    means[sizes == 0] = means[sizes.argmax()]
    return means
