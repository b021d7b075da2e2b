"""One compiled pass over the texts of a block: cells, template keys, shingles and elicitation.

Belongs here: what is read off the text itself. Per-request counts and identities are in `measure`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.elicitation import phrase_tables
from pipelines.ingest.hashing import mix, siphash, subkeys
from pipelines.ingest.simd import kernel, largest_of_32, weighted_sum_32, weighted_sum_64
from pipelines.prompt_map.tokens import BUCKETS, LETTERS, MAX_TOKENS, VECTOR_TOKENS, term_counts, tokenize

SHINGLE: Final = 8
"""Tokens of a shingle."""
TEMPLATE: Final = 4
"""Tokens of an opening or closing run; texts of fewer than twice as many have no template key."""
SHINGLE_BYTES: Final = 16
"""A text keeps at most one shingle per so many bytes, and 16 more."""


class Scratch(NamedTuple):
    """Working memory of the kernels, which allocate nothing themselves. seen is all zero between calls."""

    tokens: NDArray[np.uint64]
    angled: NDArray[np.uint8]
    seen: NDArray[np.int32]
    buckets: NDArray[np.int32]
    counts: NDArray[np.int32]
    vector: NDArray[np.float32]
    weights: NDArray[np.float32]
    scores: NDArray[np.float32]
    order: NDArray[np.int32]

    @classmethod
    def new(cls) -> "Scratch":
        """Fresh working memory, for one thread at a time."""
        return cls(
            np.empty(MAX_TOKENS, np.uint64), np.zeros(MAX_TOKENS, np.uint8), np.zeros(BUCKETS, np.int32),
            np.empty(VECTOR_TOKENS, np.int32), np.empty(VECTOR_TOKENS, np.int32), np.empty(64, np.float32),
            np.empty(VECTOR_TOKENS, np.float32), np.empty(32, np.float32), np.arange(64, dtype=np.int32),
        )  # fmt: skip


@kernel
def nearest(
    vector: NDArray[np.float32],
    transposed: NDArray[np.float32],
    half_norms: NDArray[np.float32],
    order: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> int:
    """Index of the centroid nearest to vector. transposed: float32[64, 32]; half_norms: |c|^2 / 2.

    order: 0 to 63. scores: float32[32] scratch. Sums run over the dimensions in order for all centroids at
    once, so the result does not depend on how the compiler vectorises.
    """
    for c in range(32):
        scores[c] = -half_norms[c]
    weighted_sum_32(transposed, order, vector, 64, scores)
    return largest_of_32(scores)  # type: ignore[no-any-return]


@kernel
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
    norm = np.float32(0.0)
    for d in range(64):
        norm += vector[d] * vector[d]
    if norm <= np.float32(1e-12):
        return False
    scale = np.float32(1.0) / np.sqrt(norm)
    for d in range(64):
        vector[d] *= scale
    return True


@kernel
def _shingles(
    tokens: NDArray[np.uint64],
    count: int,
    limit: int,
    k0: np.uint64,
    k1: np.uint64,
    out: NDArray[np.int64],
    at: int,
) -> int:
    """Append the keyed hashes of the shingles that fall into a 1/32 sample; returns the new end."""
    base = np.uint64(0x9E3779B97F4A7C15)
    top = np.uint64(1)
    for _ in range(8):
        top *= base
    rolling = np.uint64(0)
    start = at
    for k in range(count):
        rolling = rolling * base + tokens[k]
        if k >= 8:
            rolling -= top * tokens[k - 8]
        if k >= 7:
            spread = (rolling ^ (rolling >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            if (spread >> np.uint64(59)) == 0 and at - start < limit:
                out[at] = mix(rolling, k0, k1)
                at += 1
    return at


@kernel
def _elicited(
    tokens: NDArray[np.uint64],
    angled: NDArray[np.uint8],
    count: int,
    lengths: NDArray[np.uint8],
    keys: NDArray[np.uint64],
    categories: NDArray[np.int8],
    tags: NDArray[np.uint64],
) -> int:
    """Bit mask of the categories whose phrases occur."""
    found = 0
    base = np.uint64(0x9E3779B97F4A7C15)
    for k in range(count):
        if angled[k]:
            for t in range(len(tags)):
                if tags[t] == tokens[k]:
                    found |= 2
        sizes = lengths[tokens[k] >> np.uint64(48)]
        if sizes == 0:
            continue
        for n in range(1, min(8, k + 1) + 1):
            if not (sizes >> (n - 1)) & 1:
                continue
            value = np.uint64(0)
            for j in range(k - n + 1, k + 1):
                value = value * base + tokens[j]
            slot = (value >> np.uint64(20)) & np.uint64(1023)
            while categories[slot] >= 0:
                if keys[slot] == value:
                    found |= 1 << categories[slot]
                    break
                slot = (slot + np.uint64(1)) & np.uint64(1023)
    return found


@kernel
def _prompts(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    letters: NDArray[np.int32],
    projection: NDArray[np.float32],
    log_weights: NDArray[np.float32],
    topics: NDArray[np.float32],
    topic_norms: NDArray[np.float32],
    cells: NDArray[np.float32],
    cell_norms: NDArray[np.float32],
    lengths: NDArray[np.uint8],
    phrase_keys: NDArray[np.uint64],
    phrase_categories: NDArray[np.int8],
    tags: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    cell: NDArray[np.int32],
    prompt_hash: NDArray[np.int64],
    opening: NDArray[np.int64],
    closing: NDArray[np.int64],
    elicited: NDArray[np.uint8],
    shingle_offsets: NDArray[np.int32],
    shingles: NDArray[np.int64],
    scratch: Scratch,
) -> None:
    tokens, angled, seen = scratch.tokens, scratch.angled, scratch.seen
    buckets, counts, vector = scratch.buckets, scratch.counts, scratch.vector
    weights, scores, order = scratch.weights, scratch.scores, scratch.order
    base = np.uint64(0x9E3779B97F4A7C15)
    at = 0
    for i in range(len(rows)):
        row = rows[i]
        cell[i] = -1
        prompt_hash[i] = -1
        opening[i] = -1
        closing[i] = -1
        elicited[i] = 0
        if kinds[row] == 1:
            begin = begins[row]
            size = np.int64(sizes[row])
            count = tokenize(buf, begin, size, letters, tokens, angled)
            if count > 0:
                prompt_hash[i] = np.int64(
                    siphash(buf, begin, size, keys[0], keys[1]) & np.uint64(0x7FFFFFFFFFFFFFFF)
                )
                distinct = term_counts(tokens, count, seen, buckets, counts)
                if project(buckets, counts, distinct, projection, log_weights, weights, vector):
                    topic = nearest(vector, topics, topic_norms, order, scores)
                    cell[i] = topic * 32 + nearest(vector, cells[topic], cell_norms[topic], order, scores)
                if count >= 8:
                    value = np.uint64(0)
                    for k in range(TEMPLATE):
                        value = value * base + tokens[k]
                    opening[i] = mix(value, keys[2], keys[3])
                    value = np.uint64(0)
                    for k in range(count - TEMPLATE, count):
                        value = value * base + tokens[k]
                    closing[i] = mix(value, keys[4], keys[5])
                    at = _shingles(tokens, count, size // 16 + 16, keys[6], keys[7], shingles, at)
                elicited[i] = _elicited(tokens, angled, count, lengths, phrase_keys, phrase_categories, tags)
        shingle_offsets[i + 1] = at


@kernel
def _responses(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    letters: NDArray[np.int32],
    keys: NDArray[np.uint64],
    shingle_offsets: NDArray[np.int32],
    shingles: NDArray[np.int64],
    scratch: Scratch,
) -> None:
    tokens, angled = scratch.tokens, scratch.angled
    at = 0
    for i in range(len(rows)):
        row = rows[i]
        if kinds[row] == 1:
            size = np.int64(sizes[row])
            count = tokenize(buf, begins[row], size, letters, tokens, angled)
            if count >= 8:
                at = _shingles(tokens, count, size // 16 + 16, keys[6], keys[7], shingles, at)
        shingle_offsets[i + 1] = at


@dataclass(frozen=True)
class Quantiser:
    """What the kernels need of a prompt map.

    projection: float32[buckets, d], idf already multiplied in. topics: float32[d, T]; topic_norms: float32[T],
    half squared norms. cells: float32[T, d, C]; cell_norms: float32[T, C]. The kernels are compiled for d = 64
    and T = C = 32.
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


@dataclass(frozen=True)
class PromptMeasures:
    """Per request (n): cell int32 (-1 none), hashes int64 (-1 none), elicited uint8 bit mask; shingles as CSR."""

    cell: NDArray[np.int32]
    prompt_hash: NDArray[np.int64]
    opening: NDArray[np.int64]
    closing: NDArray[np.int64]
    elicited: NDArray[np.uint8]
    shingle_offsets: NDArray[np.int32]
    shingles: NDArray[np.int64]


LOG_WEIGHTS: Final = np.concatenate([[0.0], 1.0 + np.log(np.arange(1, 257))]).astype(np.float32)
"""1 + ln tf for tf up to 256."""

_PHRASES = phrase_tables()


def text_keys(key: bytes) -> NDArray[np.uint64]:
    """SipHash keys of prompt, opening, closing and shingles: uint64[8]."""
    return np.array(
        [half for domain in ("prompt", "opening", "closing", "shingle") for half in subkeys(key, domain)],
        dtype=np.uint64,
    )


def _capacity(sizes: NDArray[np.int32], kinds: NDArray[np.uint8], rows: NDArray[np.int64]) -> int:
    present = kinds[rows] == 1
    return int((sizes[rows][present] // SHINGLE_BYTES + 16).sum())


def measure_prompts(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    quantiser: Quantiser,
    keys: NDArray[np.uint64],
) -> PromptMeasures:
    """Measure the prompts of the given rows. begins, sizes, kinds: spans of the prompt field over the block.

    Raises ValueError for a quantiser of another shape than the kernels are compiled for.
    """
    quantiser.check()
    n = len(rows)
    out = PromptMeasures(
        np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64),
        np.empty(n, np.uint8), np.zeros(n + 1, np.int32), np.empty(_capacity(sizes, kinds, rows), np.int64),
    )  # fmt: skip
    _prompts(
        buf, begins, sizes, kinds, rows, LETTERS, quantiser.projection, LOG_WEIGHTS, quantiser.topics,
        quantiser.topic_norms, quantiser.cells, quantiser.cell_norms, *_PHRASES, keys,
        out.cell, out.prompt_hash, out.opening, out.closing, out.elicited, out.shingle_offsets,
        out.shingles, Scratch.new(),
    )  # fmt: skip
    return out


def measure_responses(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    keys: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sampled shingles of the responses as CSR (offsets int32[n+1], hashes int64)."""
    offsets = np.zeros(len(rows) + 1, np.int32)
    shingles = np.empty(_capacity(sizes, kinds, rows), np.int64)
    _responses(buf, begins, sizes, kinds, rows, LETTERS, keys, offsets, shingles, Scratch.new())
    return offsets, shingles
