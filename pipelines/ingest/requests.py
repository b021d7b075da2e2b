"""Measured requests, and how they become rows: the fold of many single requests, where the time of ingest goes.

Belongs here: requests as they come out of `measure`, one value per sketch, kept in a quarter of the bytes that rows
of one request each would take; and the kernels that add them up. Rows are folded with rows in `fold`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.fold import SUM_INDEX, SUMS, Entries, Map, Rows, ordered_dictionary, sort_keys
from pipelines.ingest.simd import kernel
from schemas.account_hour import SKETCHES, Sketch

SHINGLED: Final = ("prompt_shingles", "response_shingles")
"""Sketches of which a request has any number of keys."""
SINGLE: Final = tuple(sketch.name for sketch in SKETCHES if sketch.name not in SHINGLED)
"""Sketches of which a request has one key or none."""
SINGLE_INDEX: Final = {name: index for index, name in enumerate(SINGLE)}
VALUES: Final = (
    "prompt_tokens",
    "completion_tokens",
    "max_tokens",
    "latency_ms",
    "temperature_milli",
    "prompt_bytes",
)
"""Sums of which a request has a number."""
FLAGS: Final = tuple(name for name in SUMS if name not in VALUES and name != "requests")
"""Sums to which a request adds one or nothing: bits of `Requests.flags`, in this order."""
_FLAG_BITS: Final = 32
if len(FLAGS) > _FLAG_BITS:
    raise ValueError(f"{len(FLAGS)} sums of ones do not fit the {_FLAG_BITS} bits of Requests.flags")
_SMALL: Final = 32
"""Groups of at most so many requests are sorted by insertion."""
_VALUE_COLUMNS = np.array([SUM_INDEX[name] for name in VALUES], dtype=np.int64)
_FLAG_COLUMNS = np.array([SUM_INDEX[name] for name in FLAGS], dtype=np.int64)


@dataclass(frozen=True)
class Names:
    """The text that goes with each distinct key of a sketch: keys int64[d], texts pa.string[d]."""

    keys: NDArray[np.int64]
    texts: pa.Array


@dataclass(frozen=True)
class Requests:
    """n measured requests of one prompt map.

    accounts: pa.string[n]. times: int64[n] epoch ms. created: int64[n] epoch ms. values: int64[n, len(VALUES)].
    flags: uint32[n]. keys: int64[len(SINGLE), n], -1 where there is none. prompt_lengths: int32[n] bytes.
    shingles: by name, (offsets int64[n+1], keys int64). names: by column.
    """

    map_version: str
    accounts: pa.Array
    times: NDArray[np.int64]
    created: NDArray[np.int64]
    values: NDArray[np.int64]
    flags: NDArray[np.uint32]
    keys: NDArray[np.int64]
    prompt_lengths: NDArray[np.int32]
    shingles: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    names: dict[str, Names]

    def __len__(self) -> int:
        return len(self.times)


@kernel
def first_rows(keys: NDArray[np.int64], table: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """Write where each distinct key that is not negative occurs first; returns how many there are.

    table: int64 scratch, all -1, its size a power of two and over the number of keys.
    """
    mask = len(table) - 1
    count = 0
    for i in range(len(keys)):
        key = keys[i]
        if key < 0:
            continue
        slot = key & mask
        while table[slot] >= 0 and keys[table[slot]] != key:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = i
            out[count] = i
            count += 1
    return count


@kernel
def _add_up(
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    values: NDArray[np.int64],
    flags: NDArray[np.uint32],
    times: NDArray[np.int64],
    created: NDArray[np.int64],
    value_columns: NDArray[np.int64],
    flag_columns: NDArray[np.int64],
    requests: int,
    counted: NDArray[np.int64],
    sums: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    born: NDArray[np.int64],
) -> None:
    """Sums and bounds of each group. counted: int64[32] scratch."""
    for group in range(len(bounds) - 1):
        row = order[bounds[group]]
        low = high = times[row]
        earliest = created[row]
        for bit in range(32):
            counted[bit] = 0
        for k in range(bounds[group], bounds[group + 1]):
            row = order[k]
            low = min(low, times[row])
            high = max(high, times[row])
            earliest = min(earliest, created[row])
            for c in range(len(value_columns)):
                sums[group, value_columns[c]] += values[row, c]
            word = flags[row]
            for bit in range(32):
                counted[bit] += (word >> np.uint32(bit)) & np.uint32(1)
        for bit in range(len(flag_columns)):
            sums[group, flag_columns[bit]] = counted[bit]
        sums[group, requests] = bounds[group + 1] - bounds[group]
        first[group] = low
        last[group] = high
        born[group] = earliest


@kernel
def _count_keys(
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    keys: NDArray[np.int64],
    limit: int,
    small: int,
    key: NDArray[np.int64],
    index: NDArray[np.int64],
    count: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out_keys: NDArray[np.int64],
    out_counts: NDArray[np.int64],
    out_rows: NDArray[np.int64],
) -> int:
    """Distinct keys of each group, ascending, the `limit` smallest, with how often each occurs and a row that has
    it. keys: -1 is none. key, index, count: scratch for the largest group. Returns how many were written."""
    at = 0
    for group in range(len(bounds) - 1):
        begin = bounds[group]
        end = bounds[group + 1]
        m = 0
        if end - begin <= small:
            for k in range(begin, end):
                row = order[k]
                value = keys[row]
                if value < 0:
                    continue
                j = m
                while j > 0 and key[j - 1] > value:
                    j -= 1
                if j > 0 and key[j - 1] == value:
                    count[j - 1] += 1
                    continue
                for t in range(m, j, -1):
                    key[t] = key[t - 1]
                    index[t] = index[t - 1]
                    count[t] = count[t - 1]
                key[j] = value
                index[j] = row
                count[j] = 1
                m += 1
        else:
            size = 0
            is_sorted = True
            for k in range(begin, end):
                row = order[k]
                value = keys[row]
                if value < 0:
                    continue
                key[size] = value
                index[size] = row
                if size > 0 and key[size - 1] > value:
                    is_sorted = False
                size += 1
            if not is_sorted:
                sort_keys(key, index, size)
            for k in range(size):
                if m > 0 and key[m - 1] == key[k]:
                    count[m - 1] += 1
                else:
                    key[m] = key[k]
                    index[m] = index[k]
                    count[m] = 1
                    m += 1
        for k in range(min(m, limit)):
            out_keys[at] = key[k]
            out_counts[at] = count[k]
            out_rows[at] = index[k]
            at += 1
        out_offsets[group + 1] = at
    return at


@kernel
def _count_shingles(
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    keys: NDArray[np.int64],
    limit: int,
    key: NDArray[np.int64],
    index: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out_keys: NDArray[np.int64],
    out_counts: NDArray[np.int64],
) -> int:
    """The same where a request has any number of keys. key, index: scratch for the largest group."""
    at = 0
    for group in range(len(bounds) - 1):
        size = 0
        is_sorted = True
        for k in range(bounds[group], bounds[group + 1]):
            row = order[k]
            for j in range(offsets[row], offsets[row + 1]):
                key[size] = keys[j]
                index[size] = 0
                if size > 0 and key[size - 1] > key[size]:
                    is_sorted = False
                size += 1
        if not is_sorted:
            sort_keys(key, index, size)
        kept = 0
        for k in range(size):
            if kept > 0 and out_keys[at - 1] == key[k]:
                out_counts[at - 1] += 1
                continue
            if kept == limit:
                break
            out_keys[at] = key[k]
            out_counts[at] = 1
            at += 1
            kept += 1
        out_offsets[group + 1] = at
    return at


@dataclass(frozen=True)
class _Whole:
    """Several blocks as one, grouped: order and bounds as `fold` has them."""

    requests: Requests
    codes: NDArray[np.int32]
    hours: NDArray[np.int32]
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]


_HOUR_MS: Final = 3_600_000


def fold_requests(parts: Sequence[Requests], most_rows: int | None = None, run: Map = map) -> Iterator[Rows]:
    """One row per account and hour, ordered by account id (as bytes) and hour, in pieces of at most `most_rows`.

    The same rows, bit for bit, whatever the order of the requests and however they are cut into parts. run: sketches
    are folded apart from each other, in several threads if it is the `map` of a pool.
    """
    whole = _join(parts)
    bounds = whole.bounds
    step = most_rows or len(bounds)
    for begin in range(0, len(bounds) - 1, step):
        yield _fold_groups(whole, bounds[begin : begin + step + 1], run)


def _join(parts: Sequence[Requests]) -> _Whole:
    joined = parts[0]
    if len(parts) > 1:
        versions = {part.map_version for part in parts}
        if len(versions) > 1:
            raise ValueError(f"rows of different prompt maps are never summed: {sorted(versions)}")
        joined = Requests(
            joined.map_version,
            pa.concat_arrays([part.accounts for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.created for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.flags for part in parts]),
            np.concatenate([part.keys for part in parts], axis=1),
            np.concatenate([part.prompt_lengths for part in parts]),
            {name: _join_shingles([part.shingles[name] for part in parts]) for name in SHINGLED},
            {
                name: Names(
                    np.concatenate([part.names[name].keys for part in parts]),
                    pa.concat_arrays([part.names[name].texts for part in parts]),
                )
                for name in joined.names
            },
        )
    accounts, codes = ordered_dictionary(joined.accounts)
    hours = (joined.times // _HOUR_MS).astype(np.int32)
    key = codes.astype(np.int64) << 32 | hours
    # Not stable, and need not be: what the requests of a group give is the same in any order.
    order = np.argsort(key)
    ranked = key[order]
    changed = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
    bounds = np.concatenate(([0], changed, [len(key)])).astype(np.int64)
    leaders = order[bounds[:-1]]
    named = {name: _distinct_names(each) for name, each in joined.names.items()}
    joined = Requests(**(vars(joined) | {"accounts": accounts, "names": named}))
    return _Whole(joined, codes[leaders], hours[leaders], order, bounds)


def _join_shingles(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.cumsum([0] + [len(keys) for _, keys in parts])
    offsets = np.concatenate(
        [[0], *(offsets[1:] + start for start, (offsets, _) in zip(starts[:-1], parts, strict=True))]
    ).astype(np.int64)
    return offsets, np.concatenate([keys for _, keys in parts])


def _distinct_names(names: Names) -> Names:
    """Keys ascending and without repeats."""
    order = np.argsort(names.keys)
    ranked = names.keys[order]
    is_new = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=is_new[1:])
    return Names(ranked[is_new], names.texts.take(pa.array(order[is_new])))


def _fold_groups(whole: _Whole, bounds: NDArray[np.int64], run: Map) -> Rows:
    """The rows of some groups. bounds: where they begin in whole.order, and where the last one ends."""
    requests = whole.requests
    groups = len(bounds) - 1
    sums = np.zeros((groups, len(SUMS)), dtype=np.int64)
    first, last, born = (np.empty(groups, dtype=np.int64) for _ in range(3))

    def fold_one(sketch: Sketch | None) -> Entries | None:
        if sketch is None:
            _add_up(
                whole.order, bounds, requests.values, requests.flags, requests.times, requests.created,
                _VALUE_COLUMNS, _FLAG_COLUMNS, SUM_INDEX["requests"], np.empty(_FLAG_BITS, dtype=np.int64), sums,
                first, last, born,
            )  # fmt: skip
            return None
        if sketch.name in SHINGLED:
            return _fold_shingles(sketch, whole, bounds)
        return _fold_single(sketch, whole, bounds)

    _, *folded = run(fold_one, [None, *SKETCHES])
    place = int(np.searchsorted(whole.bounds, bounds[0]))
    return Rows(
        requests.map_version, requests.accounts, whole.codes[place : place + groups],
        whole.hours[place : place + groups], sums, first, last, born,
        {sketch.name: entries for sketch, entries in zip(SKETCHES, folded, strict=True)},
    )  # fmt: skip


def _fold_single(sketch: Sketch, whole: _Whole, bounds: NDArray[np.int64]) -> Entries:
    requests = whole.requests
    size = int(bounds[-1] - bounds[0])
    keys = requests.keys[SINGLE_INDEX[sketch.name]]
    offsets = np.zeros(len(bounds), dtype=np.int64)
    out = np.empty((3, size), dtype=np.int64)
    scratch = np.empty((3, int(np.diff(bounds).max())), dtype=np.int64)
    limit = size if sketch.limit is None else sketch.limit
    end = _count_keys(whole.order, bounds, keys, limit, _SMALL, *scratch, offsets, *out)
    found, counts, rows = out[:, :end]
    payloads: dict[str, NDArray[np.int32] | pa.Array] = {}
    if sketch.name == "prompts":
        payloads = {
            "prompt_cells": requests.keys[SINGLE_INDEX["cells"]][rows].astype(np.int32),
            "prompt_lengths": requests.prompt_lengths[rows],
        }
    for name, _, _ in sketch.payloads:
        if name in requests.names:
            names = requests.names[name]
            places = np.searchsorted(names.keys, found).astype(np.int32)
            payloads[name] = pa.DictionaryArray.from_arrays(pa.array(places), names.texts)
    return Entries(offsets, found.copy(), counts.copy(), payloads)


def _fold_shingles(sketch: Sketch, whole: _Whole, bounds: NDArray[np.int64]) -> Entries:
    starts, keys = whole.requests.shingles[sketch.name]
    lengths = np.diff(starts)[whole.order[bounds[0] : bounds[-1]]]
    ends = np.concatenate(([0], np.cumsum(lengths)))
    size = int(ends[-1])
    largest = int(np.diff(ends[bounds - bounds[0]]).max())
    offsets = np.zeros(len(bounds), dtype=np.int64)
    out = np.empty((2, size), dtype=np.int64)
    scratch = np.empty((2, largest), dtype=np.int64)
    limit = size if sketch.limit is None else sketch.limit
    end = _count_shingles(whole.order, bounds, starts, keys, limit, *scratch, offsets, *out)
    return Entries(offsets, out[0, :end].copy(), out[1, :end].copy(), {})
