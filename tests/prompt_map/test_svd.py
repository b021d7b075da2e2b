"""The truncated decomposition against scikit-learn's, and against the whole one."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse
from sklearn.utils.extmath import randomized_svd

from pipelines.prompt_map.svd import ITERATIONS, right_singular


@pytest.mark.parametrize(("rows", "columns"), [(3_000, 50), (50, 3_000), (400, 400), (20, 500), (500, 20)])
def test_that_of_scikit_learn(rows: int, columns: int) -> None:
    matrix = csr_matrix(random_sparse(rows, columns, density=0.1, random_state=1, dtype=np.float32))
    values, vectors = right_singular(matrix, 30, 7)
    _, expected, expected_vectors = randomized_svd(
        matrix, 30, n_iter=ITERATIONS, random_state=7, power_iteration_normalizer="QR"
    )
    assert values.shape == expected.shape
    assert np.allclose(values, expected, rtol=1e-4)
    assert np.allclose(vectors, expected_vectors, atol=1e-3)
    assert vectors.dtype == np.float32


def test_a_matrix_of_low_rank_is_rebuilt() -> None:
    random = np.random.default_rng(3)
    low = random.normal(size=(300, 5)) @ random.normal(size=(5, 120))
    values, vectors = right_singular(csr_matrix(low.astype(np.float32)), 5, 0)
    assert np.allclose(low @ vectors.T @ vectors, low, atol=1e-3)
    assert np.allclose(values, np.linalg.svd(low, compute_uv=False)[:5], rtol=1e-4)
