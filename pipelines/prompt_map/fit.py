"""Fit a prompt map to a sample of distinct prompts (METHOD section 1).

Belongs here: weights, projection and the two-level quantiser, which maps for embeddings use too (their projection
is in `fit_embeddings`). Sampling is in `sample`, storage in `store`.
Everything runs on one thread with a fixed seed: the same sample gives the same map, bit for bit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from pipelines.errors import ScarecrowError
from pipelines.ingest.quantise import LOG_WEIGHTS, Quantiser
from pipelines.ingest.simd import PADDING, kernel
from pipelines.prompt_map.kmeans import kmeans
from pipelines.prompt_map.svd import right_singular
from pipelines.prompt_map.tokens import (
    BUCKETS,
    LETTERS,
    MAX_TOKENS,
    SLOTS,
    VECTOR_TOKENS,
    Tokens,
    term_counts,
    tokenize,
)

DIMENSIONS: Final = 64
TOPICS: Final = 32
CELLS_PER_TOPIC: Final = 32
MIN_SAMPLE: Final = 2_000
"""Fewer distinct prompts than this cannot carry 1,024 cells."""


@dataclass(frozen=True)
class FitStatistics:
    """What is told about a fit. distinct_prompts: or embeddings. vocabulary: buckets of terms in use, or numbers of
    an embedding. explained_variance: of the weighted terms, or of the embeddings; quantisation_loss: share of the
    vectors' variance lost by replacing them with their cell's centroid."""

    distinct_prompts: int
    vocabulary: int
    explained_variance: float
    quantisation_loss: float
    cells_used: int
    median_cell_prompts: float


@dataclass(frozen=True)
class FittedMap:
    """A map before it is stored. centroids: float32[T * C, d] in cell order; ordinary: share of the sample in
    each cell, float32[T * C]."""

    quantiser: Quantiser
    centroids: NDArray[np.float32]
    ordinary: NDArray[np.float32]
    statistics: FitStatistics


@kernel
def _count_terms(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    letters: NDArray[np.int32],
    found: Tokens,
    seen: NDArray[np.int32],
    indptr: NDArray[np.int64],
    buckets: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> None:
    at = 0
    for first in range(0, len(begins), 16):
        end = min(first + 16, len(begins))
        tokenize(buf, begins[first:end], sizes[first:end], letters, found)
        for i in range(end - first):
            tokens = found.hashes[found.firsts[i] :]
            at += term_counts(tokens, found.counts[i], seen, buckets[at:], counts[at:])
            indptr[first + i + 1] = at


def term_matrix(prompts: list[bytes]) -> csr_matrix:
    """Term frequencies of the first 256 tokens: csr int32[n, BUCKETS]."""
    sizes = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    begins = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    buf = np.frombuffer(bytearray(b"".join(prompts) + bytes(PADDING)), dtype=np.uint8)
    room = int(np.minimum(sizes, VECTOR_TOKENS).sum()) + MAX_TOKENS
    indptr = np.zeros(len(prompts) + 1, dtype=np.int64)
    buckets = np.empty(room, dtype=np.int32)
    counts = np.empty(room, dtype=np.int32)
    found, seen = Tokens.new(VECTOR_TOKENS), np.empty(SLOTS, dtype=np.int32)
    _count_terms(buf, begins, sizes, LETTERS, found, seen, indptr, buckets, counts)
    end = int(indptr[-1])
    return csr_matrix((counts[:end], buckets[:end], indptr), shape=(len(prompts), BUCKETS))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, 1e-6)
    return scaled


def _cluster(
    vectors: NDArray[np.float32], k: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """k-means; fewer than k points give centroids that repeat the last point (never nearest twice)."""
    distinct = np.unique(vectors, axis=0)
    if len(distinct) <= k:
        centres = np.concatenate([distinct, np.full((k - len(distinct), vectors.shape[1]), 9.0, np.float32)])
        labels = np.argmin(((vectors[:, None, :] - centres[None, : len(distinct)]) ** 2).sum(-1), axis=1)
        return centres.astype(np.float32), labels.astype(np.int32)
    with threadpool_limits(1):
        return kmeans(vectors, k, seed)


def quantise(
    vectors: NDArray[np.float32], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """The two-level quantiser of unit vectors float32[n, d]: topics float32[T, d], cells float32[T, C, d] and the
    cell of each vector, int64[n]. Centroids of no vector lie at 9.0, nearer to nothing."""
    topics, labels = _cluster(vectors, TOPICS, seed)
    cells = np.full((TOPICS, CELLS_PER_TOPIC, vectors.shape[1]), 9.0, dtype=np.float32)
    place = np.empty(len(vectors), dtype=np.int64)
    for topic in range(TOPICS):
        members = np.flatnonzero(labels == topic)
        if len(members):
            cells[topic], inner = _cluster(vectors[members], CELLS_PER_TOPIC, seed + 1 + topic)
            place[members] = topic * CELLS_PER_TOPIC + inner
    return topics, cells, place


def searched(
    topics: NDArray[np.float32], cells: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Centroids as the kernels want them: topics [d, T] and their half squared norms, cells [T, d, C] and theirs."""
    return (
        np.ascontiguousarray(topics.T),
        (0.5 * (topics**2).sum(axis=1)).astype(np.float32),
        np.ascontiguousarray(cells.transpose(0, 2, 1)),
        (0.5 * (cells**2).sum(axis=2)).astype(np.float32),
    )


def fitted_map(
    quantiser: Quantiser,
    cells: NDArray[np.float32],
    place: NDArray[np.int64],
    vectors: NDArray[np.float32],
    distinct: int,
    vocabulary: int,
    explained: float,
) -> FittedMap:
    """A map with its statistics. vectors: float32[n, d], of the sample; place: their cells. distinct, vocabulary,
    explained: as in FitStatistics."""
    centroids = cells.reshape(-1, cells.shape[2])
    counts = np.bincount(place, minlength=len(centroids))
    total = float(((vectors - vectors.mean(axis=0)) ** 2).sum())
    lost = float(((vectors - centroids[place]) ** 2).sum())
    statistics = FitStatistics(
        distinct,
        vocabulary,
        explained,
        lost / total,
        int((counts > 0).sum()),
        float(np.median(counts[counts > 0])),
    )
    return FittedMap(quantiser, centroids, (counts / counts.sum()).astype(np.float32), statistics)


def fit(prompts: list[bytes], seed: int = 0) -> FittedMap:
    """Fit a map to distinct prompts (UTF-8). Raises ScarecrowError when there are too few."""
    if len(prompts) < MIN_SAMPLE:
        raise ScarecrowError(
            f"a prompt map needs at least {MIN_SAMPLE} distinct prompts and the input has {len(prompts)}; "
            "ingest more of the log at once, or fit on another source with `scarecrow prompt-map fit`"
        )
    terms = term_matrix(prompts)
    frequency = np.bincount(terms.indices, minlength=BUCKETS)
    idf = np.log((len(prompts) + 1) / (frequency + 1))
    weighted = csr_matrix(
        (LOG_WEIGHTS[terms.data].astype(np.float64) * idf[terms.indices], terms.indices, terms.indptr),
        terms.shape,
    )
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scaled = csr_matrix(
        (
            weighted.data / np.repeat(np.maximum(norms, 1e-9), np.diff(weighted.indptr)),
            weighted.indices,
            weighted.indptr,
        ),
        weighted.shape,
    )
    kept = np.flatnonzero(frequency >= 2)
    dense_columns = scaled[:, kept].astype(np.float32)
    with threadpool_limits(1):
        singular, right = right_singular(dense_columns, DIMENSIONS, seed)
        # A log of fewer terms than dimensions leaves the last dimensions empty.
        right = np.pad(right, ((0, DIMENSIONS - len(right)), (0, 0)))
        projection = np.zeros((BUCKETS, DIMENSIONS), dtype=np.float32)
        projection[kept] = (right.T * idf[kept, None]).astype(np.float32)
        vectors = _unit(np.asarray(dense_columns @ right.T.astype(np.float32), dtype=np.float32))
        known = np.linalg.norm(vectors, axis=1) > 0.5
        vectors = vectors[known]
    topics, cells, place = quantise(vectors, seed)
    explained = float((singular.astype(np.float64) ** 2).sum() / len(prompts))
    quantiser = Quantiser(projection, *searched(topics, cells))
    vocabulary = int((frequency > 0).sum())
    return fitted_map(quantiser, cells, place, vectors, len(prompts), vocabulary, explained)
