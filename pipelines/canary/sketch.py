"""Keyed hashes of all shingles of a text: eight tokens in a row, as the lake samples them from answers.

The hash is that of `pipelines.ingest.texts` (same tokens, same key), without its sampling: what the lake
holds of an answer is a subset of its sketch here. A change of one word changes the eight shingles around it.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.ingest.hashing import mix
from pipelines.ingest.simd import PADDING
from pipelines.ingest.texts import SHINGLE, text_keys
from pipelines.prompt_map.tokens import LETTERS, tokenize


@njit(cache=True, nogil=True)
def _hashes(
    tokens: NDArray[np.uint64], count: int, size: int, k0: np.uint64, k1: np.uint64
) -> NDArray[np.int64]:
    out = np.empty(max(0, count - size + 1), dtype=np.int64)
    for start in range(len(out)):
        value = np.uint64(0)
        for k in range(start, start + size):
            value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[k]
        out[start] = mix(value, k0, k1)
    return out


def shingle_hashes(text: str, key: bytes) -> NDArray[np.int64]:
    """int64[m]: the distinct hashes of a text's shingles, ascending; none for texts under eight tokens.

    key: the operator's secret, as `pipelines.settings.hash_key` gives it.
    """
    data = np.frombuffer(text.encode("utf-8", "surrogatepass") + bytes(PADDING), dtype=np.uint8)
    size = len(data) - PADDING
    tokens = np.empty(size + 1, dtype=np.uint64)
    count = tokenize(data, 0, size, LETTERS, tokens, np.zeros(size + 1, dtype=np.uint8))
    keys = text_keys(key)
    return np.unique(_hashes(tokens, count, SHINGLE, keys[6], keys[7]))
