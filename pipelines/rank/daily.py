"""The traffic of a horizon day by day: what drift and blind spots are read off.

Belongs here: sums by day and a sample of the last week's prompts. Not here: what is remarkable about them (`drift`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.fold import SUM_INDEX, SUMS, Rows

WEEK: Final = 7
MOST_PROMPTS: Final = 1 << 20
"""Distinct prompts of the last week that are kept: those with the smallest keyed hashes."""


@dataclass(frozen=True)
class Daily:
    """Days are 24 hours, counted back from the end of the horizon: 0 is the newest.

    sums: int64[days, len(SUMS)]. is_seen: bool[days], days with rows. prompts: int64[k], distinct prompts of the last
    WEEK days that have a cell, ascending; cells: int32[k].
    """

    sums: NDArray[np.int64]
    is_seen: NDArray[np.bool_]
    prompts: NDArray[np.int64]
    cells: NDArray[np.int32]

    def sum(self, name: str) -> NDArray[np.int64]:
        """One summed column, int64[days]."""
        return self.sums[:, SUM_INDEX[name]]


def by_day(hours: Rows, end: int, most: int = MOST_PROMPTS) -> Daily:
    """The traffic of rows by hour or day. end: hours since 1970 at which the horizon ends."""
    back = np.maximum((end - 1 - hours.hours.astype(np.int64)) // 24, 0)
    size = int(back.max(initial=-1)) + 1
    sums = np.zeros((size, len(SUMS)), dtype=np.int64)
    for day in np.unique(back):
        sums[day] = hours.sums[back == day].sum(axis=0)
    prompts = hours.sketches["prompts"]
    cells = np.asarray(prompts.payloads["prompt_cells"], dtype=np.int32)
    kept = np.repeat(back < WEEK, np.diff(prompts.offsets)) & (cells >= 0)
    return Daily(
        sums, np.bincount(back, minlength=size) > 0, *_smallest(prompts.keys[kept], cells[kept], most)
    )


def together(parts: Sequence[Daily], most: int = MOST_PROMPTS) -> Daily:
    """The traffic of several parts of the accounts."""
    size = max((len(part.sums) for part in parts), default=0)
    sums = np.zeros((size, len(SUMS)), dtype=np.int64)
    is_seen = np.zeros(size, dtype=np.bool_)
    for part in parts:
        sums[: len(part.sums)] += part.sums
        is_seen[: len(part.sums)] |= part.is_seen
    prompts = np.concatenate([np.empty(0, dtype=np.int64), *(part.prompts for part in parts)])
    cells = np.concatenate([np.empty(0, dtype=np.int32), *(part.cells for part in parts)])
    return Daily(sums, is_seen, *_smallest(prompts, cells, most))


def _smallest(
    prompts: NDArray[np.int64], cells: NDArray[np.int32], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    distinct, first = np.unique(prompts, return_index=True)
    return distinct[:most].copy(), cells[first[:most]]
