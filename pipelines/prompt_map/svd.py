"""Truncated singular value decomposition of a large sparse matrix by random projection (Halko, Martinsson and Tropp
2011, algorithms 4.4 and 5.1).

The same steps as `sklearn.utils.extmath.randomized_svd`, which a test holds it against; why not that one: see `kmeans`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svd
from scipy.sparse import csr_matrix

OVERSAMPLES: Final = 10
ITERATIONS: Final = 3


def right_singular(
    matrix: csr_matrix, count: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest singular values, float32[count], and their right singular vectors as rows, float32[count, columns].

    matrix: float32. Fewer than count where it has fewer rows or columns. The sign is such that the
    largest component of the left singular vector is positive.
    """
    is_wide = matrix.shape[0] < matrix.shape[1]
    tall = matrix.T if is_wide else matrix
    random = np.random.RandomState(seed)
    basis = random.normal(size=(tall.shape[1], count + OVERSAMPLES)).astype(np.float32)
    for _ in range(ITERATIONS):
        basis = _orthonormal(tall @ basis)
        basis = _orthonormal(tall.T @ basis)
    basis = _orthonormal(tall @ basis)
    inner, values, across = svd(basis.T @ tall, full_matrices=False, lapack_driver="gesdd")
    along = (basis @ inner).T
    left, right = (across, along) if is_wide else (along, across)
    signs = np.sign(np.take_along_axis(left, np.abs(left).argmax(axis=1)[:, None], axis=1))
    return values[:count], (right * signs)[:count]


def _orthonormal(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    columns: NDArray[np.float32] = qr(matrix, mode="economic", check_finite=False)[0]
    return columns
