"""Event ids seen lately: what makes a second record with the same id change nothing.

The last `horizon` events of the lake are kept as sorted arrays of 63-bit keyed hashes. Their list travels in
each commit, so what is committed and what counts as seen never differ. Beyond the horizon a repeat counts.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.replacing import sync

EVENTS: Final = "_events"
"""Folder of a lake."""
_MOST_SEGMENTS: Final = 12


@njit(cache=True, nogil=True)
def _insert(table: NDArray[np.int64], values: NDArray[np.int64]) -> None:
    mask = len(table) - 1
    for value in values:
        slot = (value * -7046029254386353131) & mask
        while table[slot] != -1 and table[slot] != value:
            slot = (slot + 1) & mask
        table[slot] = value


@njit(cache=True, nogil=True)
def _contains(table: NDArray[np.int64], values: NDArray[np.int64], out: NDArray[np.bool_]) -> None:
    mask = len(table) - 1
    for i in range(len(values)):
        value = values[i]
        slot = (value * -7046029254386353131) & mask
        while table[slot] != -1 and table[slot] != value:
            slot = (slot + 1) & mask
        out[i] = table[slot] == value


def _with(table: NDArray[np.int64], held: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The table, or a larger one, with more values."""
    needed = 2 * (held + len(values))
    if needed > len(table):
        larger = np.full(1 << int(needed).bit_length(), -1, dtype=np.int64)
        _insert(larger, table[table != -1])
        table = larger
    _insert(table, values)
    return table


def _among(table: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
    out = np.zeros(len(events), dtype=np.bool_)
    _contains(table, events, out)
    return out


Seen = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Which of some hashes earlier commits own."""


@dataclass(frozen=True)
class Segment:
    """A file of sorted event hashes."""

    name: str
    size: int


@dataclass
class SeenEvents:
    """The events within the horizon, in memory; follows the chain of segments in the lake's commits."""

    lake: Path
    horizon: int
    segments: list[Segment] = field(default_factory=list)
    _table: NDArray[np.int64] = field(default_factory=lambda: np.full(1 << 10, -1, dtype=np.int64))
    _held: int = 0

    @property
    def _folder(self) -> Path:
        return self.lake / EVENTS

    def follow(self, segments: Sequence[Segment]) -> None:
        """Take over the chain that the newest commit names. Other threads may ask `seen` meanwhile."""
        if list(segments) == self.segments:
            return
        known = set(self.segments)
        fresh = [segment for segment in segments if segment not in known]
        gone = len(fresh) + len(self.segments) != len(segments)
        table, held = self._table, self._held
        if gone:
            table, held = np.full(1 << 10, -1, dtype=np.int64), 0
            fresh = list(segments)
        for segment in fresh:
            values = np.load(self._folder / segment.name, allow_pickle=False)
            table, held = _with(table, held, values), held + len(values)
        self._table, self._held = table, held
        self.segments = list(segments)

    def seen(self, events: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the hashes are within the horizon."""
        return _among(self._table, events)

    def seen_or_among(self, expected: NDArray[np.int64]) -> Seen:
        """The same, with events that a commit which is not made yet will add."""
        table = _with(np.full(2, -1, dtype=np.int64), 0, expected)
        return lambda events: self.seen(events) | _among(table, events)

    def extend(self, events: NDArray[np.int64], name: str) -> list[Segment]:
        """Write the events of a commit that is being made; returns the chain that the commit must name.

        events: sorted and without repeats. name: unique for this attempt. `follow` the chain after the commit.
        """
        if self.horizon == 0 or len(events) == 0:
            return list(self.segments)
        self._folder.mkdir(exist_ok=True)
        chain = [*self.segments, self._write(f"{name}.npy", events)]
        while len(chain) > 1 and sum(s.size for s in chain[1:]) >= self.horizon:
            chain.pop(0)
        if len(chain) > _MOST_SEGMENTS:
            sizes = [a.size + b.size for a, b in pairwise(chain)]
            at = int(np.argmin(sizes))
            parts = [np.load(self._folder / s.name, allow_pickle=False) for s in chain[at : at + 2]]
            chain[at : at + 2] = [self._write(f"{name}-merged.npy", sorted_distinct(np.concatenate(parts)))]
        return chain

    def _write(self, name: str, events: NDArray[np.int64]) -> Segment:
        path = self._folder / name
        with path.open("wb") as file:
            np.save(file, events, allow_pickle=False)
        sync(path)
        return Segment(name, len(events))


def sorted_distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ascending, without repeats. (`np.unique` hashes integers, which takes sixty times as long.)"""
    ranked = np.sort(values)
    is_new = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=is_new[1:])
    return ranked[is_new]


def chain_to_json(segments: Sequence[Segment]) -> str:
    """The chain as it is kept in a commit's metadata."""
    return json.dumps([[segment.name, segment.size] for segment in segments])


def chain_from_json(text: str) -> list[Segment]:
    """The chain from a commit's metadata."""
    return [Segment(name, size) for name, size in json.loads(text)]
