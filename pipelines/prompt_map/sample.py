"""A sample of distinct prompts, or of distinct embeddings, from a log: those with the smallest keyed hashes.

Being a bottom-k sample it is the same whatever the order, slicing or repetition of the input.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.decode import PROMPT, Decoded
from pipelines.ingest.hashing import MASK, hash_spans
from pipelines.ingest.vectors import vector_hashes
from pipelines.prompt_map.tokens import VECTOR_TOKENS

SAMPLE: Final = 60_000
_KEPT_BYTES: Final = 16 * VECTOR_TOKENS
"""Enough bytes for the tokens that are measured; the sample lives in memory only."""


MAX_VECTOR_BYTES: Final = 256 << 20
"""Of embeddings that are sampled; of long ones there are fewer than SAMPLE."""


class _BottomK:
    """The values with the `size` smallest hashes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[int, bytes] = {}
        self._threshold = int(MASK)

    def offer(self, values: Iterable[tuple[int, bytes]]) -> None:
        self._held.update(values)
        if len(self._held) > self._size + self._size // 2:
            self._prune()

    def wanted(self, hashes: NDArray[np.int64]) -> list[int]:
        """Places of the hashes whose values may belong to the sample."""
        places: list[int] = np.flatnonzero((hashes >= 0) & (hashes < self._threshold)).tolist()
        return places

    def _prune(self) -> None:
        kept = sorted(self._held)[: self._size]
        self._held = {value: self._held[value] for value in kept}
        if len(kept) == self._size:
            self._threshold = kept[-1]

    def values(self) -> list[bytes]:
        """The sample, in the order of its hashes."""
        self._prune()
        return list(self._held.values())


class PromptSample:
    """Collects up to `size` distinct prompts."""

    def __init__(self, keys: NDArray[np.uint64], size: int = SAMPLE) -> None:
        self._keys = keys
        self._sample = _BottomK(size)

    def add(self, decoded: Decoded) -> None:
        """Offer the valid records of a block."""
        spans = decoded.spans
        rows = decoded.valid
        begins, sizes = spans.begins[PROMPT], spans.sizes[PROMPT]
        key = self._keys[0], self._keys[1]
        out = hash_spans(spans.text, begins, sizes, spans.kinds[PROMPT], rows, 1 << 20, key)
        self._sample.offer(
            (int(out[i]), spans.text[begins[rows[i]] :][: min(int(sizes[rows[i]]), _KEPT_BYTES)].tobytes())
            for i in self._sample.wanted(out)
        )

    def prompts(self) -> list[bytes]:
        """The sample, in the order of its hashes. A prompt may end in half a character where it was cut."""
        return self._sample.values()


class VectorSample:
    """Collects distinct embeddings of one length: as many as for prompts, or as MAX_VECTOR_BYTES hold."""

    def __init__(self, key: tuple[np.uint64, np.uint64], length: int, size: int = SAMPLE) -> None:
        self._key = key
        self._length = length
        self._sample = _BottomK(min(size, MAX_VECTOR_BYTES // (4 * length)))

    def add(self, decoded: Decoded) -> None:
        """Offer the valid records of a block."""
        vectors = decoded.vectors
        if vectors is None:
            return
        rows = decoded.valid[vectors.lengths[decoded.valid] == self._length]
        out = vector_hashes(vectors, rows, self._key)
        self._sample.offer(
            (int(out[i]), vectors.take(int(rows[i])).tobytes()) for i in self._sample.wanted(out)
        )

    def vectors(self) -> NDArray[np.float32]:
        """The sample, float32[n, length], in the order of its hashes."""
        held = self._sample.values()
        return np.frombuffer(b"".join(held), dtype=np.float32).reshape(len(held), self._length)
