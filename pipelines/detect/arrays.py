"""Array idioms that evidence shares: ratios with gaps, sums over ragged rows, runs in sorted columns."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """part / whole, NaN where whole is not positive."""
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out: Floats = np.full(bottom.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def owners_of(offsets: NDArray[np.integer]) -> Ints:
    """Row of each entry of a ragged array, int64[entries]. offsets: integers[rows + 1]."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def entries_of(offsets: NDArray[np.integer], rows: Ints) -> Ints:
    """Places of all entries of some rows of a ragged array, in their order. offsets: integers[rows + 1]."""
    begin = offsets[rows].astype(np.int64)
    count = offsets[rows + 1] - begin
    starts = np.repeat(begin - np.concatenate(([0], np.cumsum(count)[:-1])), count)
    places: Ints = starts + np.arange(int(count.sum()))
    return places


def owners_among(offsets: NDArray[np.integer], rows: Ints) -> Ints:
    """Place in `rows` of each of the entries that `entries_of` names, int64[entries]."""
    return np.repeat(
        np.arange(len(rows), dtype=np.int64), (offsets[rows + 1] - offsets[rows]).astype(np.int64)
    )


def per_row(offsets: Ints, values: NDArray[np.generic]) -> Floats:
    """Sums of values over the entries of each row, in their order: float64[rows]."""
    out = np.empty(len(offsets) - 1)
    _sum_rows(offsets, values, out)
    return out


@njit(cache=True, nogil=True)
def _sum_rows(offsets: Ints, values: NDArray[np.generic], out: Floats) -> None:
    for row in range(len(out)):
        total = 0.0
        for k in range(offsets[row], offsets[row + 1]):
            total += values[k]
        out[row] = total


def run_starts(*columns: NDArray[np.generic]) -> Ints:
    """Where a new combination of values begins in columns that are sorted together, int64[runs]."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def run_lengths(starts: Ints, size: int) -> Ints:
    """Lengths of the runs that begin at starts in a column of that size, int64[runs]."""
    return np.diff(np.append(starts, size))
