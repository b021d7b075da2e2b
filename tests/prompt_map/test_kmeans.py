"""k-means against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from pipelines.prompt_map.kmeans import MOST_ITERATIONS, _means, kmeans


def theirs(points: NDArray[np.float32], k: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    with threadpool_limits(1):
        model = KMeans(k, n_init=1, max_iter=MOST_ITERATIONS, random_state=seed).fit(points)
    return model.cluster_centers_, model.labels_


@settings(max_examples=30)
@given(
    st.integers(0, 2**31),
    st.integers(2, 32),
    st.integers(33, 2_500),
    st.sampled_from([3, 16, 64]),
    st.sampled_from([0.05, 0.3, 2.0]),
)
def test_the_centroids_and_labels_of_scikit_learn(
    seed: int, k: int, count: int, dimensions: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    middles = random.normal(size=(random.integers(1, 50), dimensions))
    points = (
        middles[random.integers(0, len(middles), count)] + random.normal(size=(count, dimensions)) * spread
    )
    points = points.astype(np.float32)
    with threadpool_limits(1):
        centroids, labels = kmeans(points, k, seed % 1000)
    expected, expected_labels = theirs(points, k, seed % 1000)
    # Where two centroids are equally near the last bit decides, and BLAS of NumPy and SciPy need not agree in it.
    assert (labels != expected_labels).mean() < 0.01
    assert np.allclose(centroids, expected, atol=0.02)
    assert centroids.dtype == np.float32
    assert labels.dtype == np.int32


def test_points_are_left_alone_and_each_has_the_nearest_centroid() -> None:
    points = np.random.default_rng(1).normal(size=(1_000, 8)).astype(np.float32)
    before = points.copy()
    centroids, labels = kmeans(points, 10, 0)
    assert (points == before).all()
    distances = ((points[:, None, :] - centroids[None]) ** 2).sum(-1)
    assert (distances.argmin(axis=1) == labels).mean() > 0.999


@pytest.mark.parametrize("is_spread", [True, False])
def test_a_centroid_without_points_takes_the_farthest_point(is_spread: bool) -> None:
    points = np.array([[0, 0], [0, 2], [0, 4 if is_spread else 2]], dtype=np.float32)
    centroids = np.array([[0, 2], [9, 9]], dtype=np.float32)
    labels = np.zeros(3, dtype=np.int32)
    sums = np.array([points.sum(axis=0), [0, 0]], dtype=np.float32)
    moved = _means(points, centroids, sums, np.array([3, 0], dtype=np.float32), labels)
    taken = moved[1].tolist()
    assert taken in ([[0, 0], [0, 4]] if is_spread else [[0, 0]])
    others = [p for p in points.tolist() if p != taken]
    assert np.allclose(moved[0], np.mean(others, axis=0))
