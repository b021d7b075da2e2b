"""Keyed hashes of all shingles of a text: eight tokens in a row, as the lake samples them from answers.

The hash is that of `pipelines.ingest.texts` (same tokens, same key), without its sampling: what the lake
holds of an answer is a subset of its sketch here. A change of one word changes the eight shingles around it.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.ingest.hashing import Lanes, hash_words
from pipelines.ingest.simd import PADDING
from pipelines.ingest.texts import SHINGLE, text_keys
from pipelines.prompt_map.tokens import LETTERS, Tokens, tokenize


@njit(cache=True, nogil=True)
def _runs(tokens: NDArray[np.uint64], count: int, size: int) -> NDArray[np.int64]:
    out = np.empty(max(0, count - size + 1), dtype=np.int64)
    for start in range(len(out)):
        value = np.uint64(0)
        for k in range(start, start + size):
            value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[k]
        out[start] = np.int64(value)
    return out


def shingle_hashes(text: str, key: bytes) -> NDArray[np.int64]:
    """int64[m]: the distinct hashes of a text's shingles, ascending; none for texts under eight tokens.

    key: the operator's secret, as `pipelines.settings.hash_key` gives it.
    """
    data = np.frombuffer(text.encode("utf-8", "surrogatepass") + bytes(PADDING), dtype=np.uint8)
    size = len(data) - PADDING
    held = Tokens.new(size + 1, 1)
    tokenize(data, np.zeros(1, np.int64), np.array([size]), LETTERS, held)
    keys = text_keys(key)
    found = _runs(held.hashes[held.firsts[0] :], held.counts[0], SHINGLE)
    hash_words(found, len(found), keys[6], keys[7], Lanes.new())
    return np.unique(found)
