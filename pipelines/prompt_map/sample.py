"""A sample of distinct prompts from a log: those with the smallest keyed hashes.

Being a bottom-k sample it is the same whatever the order, slicing or repetition of the input.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.decode import PROMPT, Decoded
from pipelines.ingest.hashing import MASK, hash_spans
from pipelines.prompt_map.tokens import VECTOR_TOKENS

SAMPLE: Final = 60_000
_KEPT_BYTES: Final = 16 * VECTOR_TOKENS
"""Enough bytes for the tokens that are measured; the sample lives in memory only."""


class PromptSample:
    """Collects up to `size` distinct prompts."""

    def __init__(self, keys: NDArray[np.uint64], size: int = SAMPLE) -> None:
        self._keys = keys
        self._size = size
        self._prompts: dict[int, bytes] = {}
        self._threshold = int(MASK)

    def add(self, decoded: Decoded) -> None:
        """Offer the valid records of a block."""
        spans = decoded.spans
        rows = decoded.valid
        rows = rows[spans.kinds[PROMPT][rows] == 1]
        out = np.empty(len(rows), dtype=np.int64)
        begins, sizes = spans.begins[PROMPT], spans.sizes[PROMPT]
        hash_spans(
            spans.text, begins, sizes, spans.kinds[PROMPT], rows, 1 << 20, self._keys[0], self._keys[1], out
        )
        for i in np.flatnonzero(out < self._threshold).tolist():
            row = rows[i]
            begin = int(begins[row])
            self._prompts[int(out[i])] = spans.text[
                begin : begin + min(int(sizes[row]), _KEPT_BYTES)
            ].tobytes()
        if len(self._prompts) > 2 * self._size:
            self._prune()

    def _prune(self) -> None:
        kept = sorted(self._prompts)[: self._size]
        self._prompts = {value: self._prompts[value] for value in kept}
        if len(kept) == self._size:
            self._threshold = kept[-1]

    def prompts(self) -> list[bytes]:
        """The sample, in the order of its hashes. A prompt may end in half a character where it was cut."""
        self._prune()
        return list(self._prompts.values())
