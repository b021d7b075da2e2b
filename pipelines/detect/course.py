"""Course: what the hours of an account say beyond their sums.

Belongs here: what is read off rows by hour or day, small enough to be kept when the rows are gone, so that nobody holds
the hours of all accounts at once. Not here: which of it is evidence (`families`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from pipelines.detect.arrays import owners_of, run_starts
from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Rows, fold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TOPIC_CALLS: Final = 4


@dataclass(frozen=True)
class Course:
    """n accounts, in the order of their profiles.

    day_offsets: int64[n + 1]; days: int32[m], days since 1970 with calls, ascending in each account; calls: int64[m].
    model_offsets: int64[n + 1]; models: int64[k], keyed hashes, ascending in each account; first_ms: int64[k], begin of
    the account's first row with calls to the model. sweeps: float64[n], see `ordered_sweeps`.
    """

    day_offsets: Ints
    days: NDArray[np.int32]
    calls: Ints
    model_offsets: Ints
    models: Ints
    first_ms: Ints
    sweeps: Floats

    def __len__(self) -> int:
        return len(self.sweeps)


def follow(hours: Rows, profiles: Rows, per_topic: int) -> Course:
    """The course of every account of `profiles` (one row each, ascending).

    hours: the same rows by hour or day. per_topic: cells of a topic of the prompt map. Raises ScarecrowError when an
    account of the hours has no profile.
    """
    hours = fold(hours)  # what is read off rows must not depend on how they were sliced
    owner, size = owners(hours, profiles), len(profiles)
    day = hours.hours // 24
    starts = run_starts(owner, day)
    models = hours.sketches["models"]
    row = owners_of(models.offsets)
    order = np.lexsort((models.keys, owner[row]))
    keys, first, of = models.keys[order], hours.first[row][order], owner[row][order]
    uses = run_starts(of, keys)
    return Course(
        _offsets(owner[starts], size),
        day[starts].astype(np.int32),
        np.add.reduceat(hours.sum("requests"), starts) if len(starts) else np.empty(0, dtype=np.int64),
        _offsets(of[uses], size),
        keys[uses],
        np.minimum.reduceat(first, uses) if len(uses) else np.empty(0, dtype=np.int64),
        ordered_sweeps(hours, owner, size, per_topic),
    )


def join(parts: Sequence[Course]) -> Course:
    """The courses of accounts that follow one another."""
    return Course(
        _joined([part.day_offsets for part in parts]),
        np.concatenate([part.days for part in parts]),
        np.concatenate([part.calls for part in parts]),
        _joined([part.model_offsets for part in parts]),
        np.concatenate([part.models for part in parts]),
        np.concatenate([part.first_ms for part in parts]),
        np.concatenate([part.sweeps for part in parts]),
    )


def owners(hours: Rows, profiles: Rows) -> Ints:
    """Row of `profiles` for each row of `hours`, int64. Raises ScarecrowError when an account has no
    profile.
    """
    place = np.full(len(profiles.accounts), -1, dtype=np.int64)
    place[profiles.codes] = np.arange(len(profiles))
    known = pc.index_in(hours.accounts, value_set=profiles.accounts)
    if known.null_count:
        raise ScarecrowError(
            f"{known.null_count} accounts of the hours have no profile; fold both from the same rows"
        )
    rows: Ints = place[known.to_numpy()[hours.codes]]
    return rows


def _offsets(owner: Ints, size: int) -> Ints:
    """int64[size + 1] of entries in order of their owners."""
    return np.searchsorted(owner, np.arange(size + 1)).astype(np.int64)


def _joined(offsets: Sequence[Ints]) -> Ints:
    starts = np.cumsum([0, *(int(part[-1]) for part in offsets)])
    shifted = (part[1:] + start for part, start in zip(offsets, starts[:-1], strict=True))
    return np.concatenate([np.zeros(1, dtype=np.int64), *shifted])


@njit(cache=True, nogil=True)
def _sweep(
    order: Ints,
    bounds: Ints,
    offsets: Ints,
    cells: Ints,
    counts: Ints,
    first: Ints,
    last: Ints,
    per_topic: int,
    topics: int,
    least: int,
    out: Floats,
) -> None:
    begin_of = np.empty(topics, dtype=np.int64)
    end_of = np.empty(topics, dtype=np.int64)
    calls_of = np.empty(topics, dtype=np.int64)
    for i in range(len(bounds) - 1):
        if bounds[i + 1] - bounds[i] < 6:
            continue
        calls_of[:] = 0
        begin = first[order[bounds[i]]]
        end = begin
        for k in range(bounds[i], bounds[i + 1]):
            row = order[k]
            middle = (first[row] + last[row]) // 2
            begin = min(begin, middle)
            end = max(end, middle)
            for j in range(offsets[row], offsets[row + 1]):
                topic = cells[j] // per_topic
                if calls_of[topic] == 0:
                    begin_of[topic] = middle
                    end_of[topic] = middle
                begin_of[topic] = min(begin_of[topic], middle)
                end_of[topic] = max(end_of[topic], middle)
                calls_of[topic] += counts[j]
        if end <= begin:
            continue
        total = 0.0
        weight = 0.0
        for topic in range(topics):
            n = calls_of[topic]
            if n >= least:
                expected = (n - 1.0) / (n + 1.0)
                span = (end_of[topic] - begin_of[topic]) / (end - begin)
                total += n * (1.0 - min(span / expected, 1.0))
                weight += n
        if weight > 0:
            out[i] = total / weight


def ordered_sweeps(hours: Rows, owner: Ints, size: int, per_topic: int) -> Floats:
    """How far topics come one after another instead of side by side: float64[size], 0 mixed to 1 strictly in
    turn. owner: int64[rows of hours], the account of each row.

    Of each topic with at least 4 calls, the time between its first and last call over the account's, against
    (k-1)/(k+1), the mean range of k uniform times. NaN with calls in fewer than 6 rows of `hours`.
    """
    cells = hours.sketches["cells"]
    out = np.full(size, np.nan)
    order = np.argsort(owner, kind="stable")
    _sweep(
        order,
        np.searchsorted(owner[order], np.arange(size + 1)).astype(np.int64),
        cells.offsets,
        cells.keys,
        cells.counts,
        hours.first,
        hours.last,
        per_topic,
        int(cells.keys.max(initial=0)) // per_topic + 1,
        _TOPIC_CALLS,
        out,
    )
    return out
