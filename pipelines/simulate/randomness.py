"""Small helpers over numpy's generators: independent streams by name, mixing of integers, ragged ranges.

Belongs here: what several populations of the simulator draw with. Does not belong here: any distribution that
says something about people or campaigns.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for one part of the world, so that a change in one part leaves the others
    alone.
    """
    words = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, *words])


def mix(values: npt.ArrayLike, salt: int = 0) -> npt.NDArray[np.uint64]:
    """splitmix64 of every value: a fixed, well spread 64-bit number for each (value, salt)."""
    with np.errstate(over="ignore"):
        x = np.asarray(values).astype(np.uint64) + np.uint64(salt & 0xFFFFFFFFFFFFFFFF) * _MIX2 + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _MIX1
        x = (x ^ (x >> np.uint64(27))) * _MIX2
        return np.asarray(x ^ (x >> np.uint64(31)))


def ragged(counts: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For groups of the given sizes: the group of every element, and its position inside the group."""
    sizes = np.asarray(counts, dtype=np.int64)
    group = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    first = np.cumsum(sizes) - sizes
    return group, np.arange(len(group), dtype=np.int64) - first[group]


def pick(
    cumulative: npt.NDArray[np.floating], rows: npt.NDArray[np.integer], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """One column for each of `rows`, drawn by that row's cumulative weights (last column 1)."""
    draws = rng.random(len(rows), dtype=np.float32)
    table = cumulative[rows]
    passed: npt.NDArray[np.int64] = (table <= draws[:, None]).sum(axis=1, dtype=np.int64)
    return np.asarray(np.minimum(passed, table.shape[1] - 1))


def zipf_weights(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """Weights 1 / rank^exponent, summing to 1."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())
