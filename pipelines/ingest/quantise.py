"""From the tokens of a prompt to one of 1,024 cells, compiled (METHOD section 1).

Belongs here: projection, topic, cell, for sixteen prompts at a time. Where a map comes from is in
`pipelines.prompt_map`; sums run in a fixed order, so the same prompt has the same cell on every machine.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import inner, largest_of_32, weighted_sum_64, weighted_sums_of_4
from pipelines.ingest.siphash import TEXTS
from pipelines.prompt_map.tokens import VECTOR_TOKENS

LOG_WEIGHTS: Final = np.concatenate([[0.0], 1.0 + np.log(np.arange(1, 257))]).astype(np.float32)
"""1 + ln tf for tf up to 256."""
_LINE: Final = 64
"""Bytes of a cache line."""


def zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """float32 zeros that begin at a cache line, so that rows of 64 numbers lie in as few lines as they fill."""
    size = 4 * math.prod(shape)
    room = np.zeros(size + _LINE, dtype=np.uint8)
    begin = -room.ctypes.data % _LINE
    return room[begin : begin + size].view(np.float32).reshape(shape)


def _in_whole_lines(table: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = zeros(table.shape)
    moved[:] = table
    return moved


class Tables(NamedTuple):
    """A prompt map as the kernels take it: see `Quantiser`. topics: float32[1, d, T]; topic_norms: float32[1, T]."""

    projection: NDArray[np.float32]
    topics: NDArray[np.float32]
    topic_norms: NDArray[np.float32]
    cells: NDArray[np.float32]
    cell_norms: NDArray[np.float32]


@dataclass(frozen=True)
class Quantiser:
    """What the kernels need of a prompt map.

    projection: float32[buckets, d], idf already multiplied in; from `zeros`, for speed. topics: float32[d, T];
    topic_norms: float32[T], half squared norms. cells: float32[T, d, C]; cell_norms: float32[T, C]. The kernels are
    compiled for d = 64 and T = C = 32.
    """

    projection: NDArray[np.float32]
    topics: NDArray[np.float32]
    topic_norms: NDArray[np.float32]
    cells: NDArray[np.float32]
    cell_norms: NDArray[np.float32]

    def check(self) -> None:
        """Raises ValueError where the kernels could not use it."""
        shapes = (self.projection.shape[1], self.topics.shape, self.cells.shape, self.cell_norms.shape)
        if shapes != (64, (64, 32), (32, 64, 32), (32, 32)):
            raise ValueError(f"a quantiser of another shape than the kernels are compiled for: {shapes}")

    @cached_property
    def tables(self) -> Tables:
        """For the kernels. Raises ValueError as `check` does."""
        self.check()
        topics, norms = self.topics[np.newaxis], self.topic_norms[np.newaxis]
        return Tables(
            self.projection,
            *(_in_whole_lines(table) for table in (topics, norms, self.cells, self.cell_norms)),
        )


class Vectors16(NamedTuple):
    """Sixteen projected prompts and what is computed of them. vectors: float32[16, 64]. weights: float32[256], of the
    terms of one. scores: float32[16, 32]. first, topics, cells: int64[16], of which first is zeros."""

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    scores: NDArray[np.float32]
    first: NDArray[np.int64]
    topics: NDArray[np.int64]
    cells: NDArray[np.int64]

    @classmethod
    def new(cls) -> "Vectors16":
        """Fresh working memory, for one thread at a time."""
        first, topics, cells = np.zeros((3, TEXTS), dtype=np.int64)
        return cls(
            zeros((TEXTS, 64)), np.empty(VECTOR_TOKENS, np.float32), zeros((TEXTS, 32)), first, topics, cells,
        )  # fmt: skip


@inner
def scale_to_one(vector: NDArray[np.float32]) -> bool:
    """Scale float32[64] to length 1; False when it has none."""
    norm = np.float32(0.0)
    for d in range(64):
        norm += vector[d] * vector[d]
    if norm <= np.float32(1e-12):
        return False
    scale = np.float32(1.0) / np.sqrt(norm)
    for d in range(64):
        vector[d] *= scale
    return True


@inner
def project(
    buckets: NDArray[np.int32],
    counts: NDArray[np.int32],
    distinct: int,
    projection: NDArray[np.float32],
    log_weights: NDArray[np.float32],
    weights: NDArray[np.float32],
    vector: NDArray[np.float32],
) -> bool:
    """Weighted sum of projection rows, scaled to length 1; False when nothing of the text is known.

    weights: float32[256] scratch. vector: float32[64], the result.
    """
    for k in range(distinct):
        weights[k] = log_weights[counts[k]]
    for d in range(64):
        vector[d] = np.float32(0.0)
    weighted_sum_64(projection, buckets, weights, distinct, vector)
    return scale_to_one(vector)  # type: ignore[no-any-return]


@inner
def _nearest(
    vectors: NDArray[np.float32],
    centroids: NDArray[np.float32],
    half_norms: NDArray[np.float32],
    which: NDArray[np.int64],
    scores: NDArray[np.float32],
    out: NDArray[np.int64],
) -> None:
    """Index of the centroid nearest to each of 16 vectors, among those of set which[i].

    centroids: float32[m, 64, 32], transposed; half_norms: float32[m, 32], |c|^2 / 2. Sums run over the dimensions in
    order for all centroids at once, so the result does not depend on how the compiler vectorises.
    """
    for i in range(16):
        for c in range(32):
            scores[i, c] = -half_norms[which[i], c]
    for first in range(0, 16, 4):
        weighted_sums_of_4(centroids, which, vectors, scores, first)
    for i in range(16):
        out[i] = largest_of_32(scores[i])


@inner
def find_cells(held: Vectors16, tables: Tables) -> None:
    """Fill in held.cells: the cell of each of the 16 vectors, whatever they hold."""
    _nearest(held.vectors, tables.topics, tables.topic_norms, held.first, held.scores, held.topics)
    _nearest(held.vectors, tables.cells, tables.cell_norms, held.topics, held.scores, held.cells)
    for i in range(16):
        held.cells[i] += held.topics[i] * 32
