"""Fold: rows of one key become one row, exactly, in any order (METHOD section 2).

Requests into hours, slices into hours, hours into days, days into profiles and accounts into campaigns are
all this one operation. Sums, minima, maxima, and counted sketches that keep their smallest keys.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.ingest.simd import inner, kernel
from schemas.account_hour import ACCOUNT_HOURS, MEASURES, SKETCHES, Sketch

SUMS: Final = tuple(c.name for c in MEASURES if c.merge == "sum")
SUM_INDEX: Final = {name: index for index, name in enumerate(SUMS)}
SCHEMA: Final = ACCOUNT_HOURS.arrow()
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or that of a pool of threads."""


@dataclass(frozen=True)
class Entries:
    """A sketch of n rows: row i has keys[offsets[i]:offsets[i+1]], ascending and without repeats.

    offsets: int64[n+1]. keys: int64[m]. counts: int64[m]. payloads: by column name, length m; numbers in
    numpy, names in Arrow dictionary arrays, since the same few recur.
    """

    offsets: NDArray[np.int64]
    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    payloads: dict[str, NDArray[np.int32] | pa.Array]


@dataclass(frozen=True)
class Rows:
    """n rows of one prompt map.

    accounts: the distinct account ids, in byte order; codes: int32[n] into them. hours: int32[n] since 1970.
    sums: int64[n, len(SUMS)]. first, last, created: int64[n] epoch ms. sketches: by sketch name.
    """

    map_version: str
    accounts: pa.Array
    codes: NDArray[np.int32]
    hours: NDArray[np.int32]
    sums: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    created: NDArray[np.int64]
    sketches: dict[str, Entries]

    def __len__(self) -> int:
        return len(self.codes)

    def sum(self, name: str) -> NDArray[np.int64]:
        """One summed column, int64[n]."""
        return self.sums[:, SUM_INDEX[name]]

    def at_hour(self, hours: NDArray[np.int32]) -> "Rows":
        """The same rows under other hours (to fold over days or over everything)."""
        return replace(self, hours=hours)


@kernel
def _fold_rows(
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    sums: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    created: NDArray[np.int64],
    out_sums: NDArray[np.int64],
    out_first: NDArray[np.int64],
    out_last: NDArray[np.int64],
    out_created: NDArray[np.int64],
) -> None:
    for group in range(len(bounds) - 1):
        row = order[bounds[group]]
        low, high, born = first[row], last[row], created[row]
        for k in range(bounds[group], bounds[group + 1]):
            row = order[k]
            low = min(low, first[row])
            high = max(high, last[row])
            born = min(born, created[row])
            for c in range(sums.shape[1]):
                out_sums[group, c] += sums[row, c]
        out_first[group] = low
        out_last[group] = high
        out_created[group] = born


@inner
def sort_keys(keys: NDArray[np.int64], index: NDArray[np.int64], size: int) -> None:
    """Shell sort of the first `size` keys, with their index (Ciura's gaps, then 2.25 times each). Runs that are
    sorted already, which is what is merged here, cost it little; and it allocates nothing."""
    gap = 701
    while gap < size:
        gap = gap * 9 // 4
    while gap > 0:
        for i in range(gap, size):
            key, place = keys[i], index[i]
            j = i
            while j >= gap and keys[j - gap] > key:
                keys[j] = keys[j - gap]
                index[j] = index[j - gap]
                j -= gap
            keys[j] = key
            index[j] = place
        if gap > 701:
            gap = max(701, gap * 4 // 9)
        elif gap == 701:
            gap = 301
        elif gap == 301:
            gap = 132
        elif gap == 132:
            gap = 57
        elif gap == 57:
            gap = 23
        elif gap == 23:
            gap = 10
        elif gap == 10:
            gap = 4
        elif gap == 4:
            gap = 1
        else:
            gap = 0


@kernel
def _fold_entries(
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    limit: int,
    key: NDArray[np.int64],
    index: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out_index: NDArray[np.int64],
    out_counts: NDArray[np.int64],
) -> int:
    """Merge the entries of each group; out_index names an entry that carries the key and its payloads.

    key, index: scratch for the entries of the largest group.
    """
    at = 0
    for group in range(len(bounds) - 1):
        m = 0
        is_sorted = True
        for k in range(bounds[group], bounds[group + 1]):
            row = order[k]
            for j in range(offsets[row], offsets[row + 1]):
                key[m] = keys[j]
                index[m] = j
                if m > 0 and key[m - 1] > key[m]:
                    is_sorted = False
                m += 1
        if not is_sorted:
            sort_keys(key, index, m)
        kept = 0
        i = 0
        while i < m and kept < limit:
            total = counts[index[i]]
            out_index[at] = index[i]
            j = i + 1
            while j < m and key[j] == key[i]:
                total += counts[index[j]]
                j += 1
            out_counts[at] = total
            at += 1
            kept += 1
            i = j
        out_offsets[group + 1] = at
    return at


def _take(payload: NDArray[np.int32] | pa.Array, index: NDArray[np.int64]) -> NDArray[np.int32] | pa.Array:
    if isinstance(payload, np.ndarray):
        return payload[index]
    return payload.take(pa.array(index))


def _group(order_key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(order, bounds): rows sorted by key, and where each group begins."""
    # Not stable, and need not be: what rows of a group give is the same in any order.
    order = np.argsort(order_key)
    changed = np.flatnonzero(np.diff(order_key[order])) + 1
    return order, np.concatenate(([0], changed, [len(order_key)])).astype(np.int64)


def fold(rows: Rows, is_raw: bool = False, run: Map = map) -> Rows:
    """One row per (account, hour), ordered by account id and hour.

    Account ids are compared as bytes. Folding twice changes nothing, and fold(a + b) = fold(fold(a) + fold(b)).
    is_raw: entries of a row may be unordered and repeated (requests as they are measured).
    run: sketches are folded apart from each other, in several threads if it is the `map` of a pool.
    """
    if len(rows) == 0:
        return rows
    order, bounds = _group(rows.codes.astype(np.int64) << 32 | rows.hours.astype(np.int64))
    groups = len(bounds) - 1
    if not is_raw and groups == len(rows) and bool(np.all(order[1:] > order[:-1])):
        return rows
    leaders = order[bounds[:-1]]
    sums = np.zeros((groups, len(SUMS)), dtype=np.int64)
    first, last, created = (np.empty(groups, dtype=np.int64) for _ in range(3))
    _fold_rows(order, bounds, rows.sums, rows.first, rows.last, rows.created, sums, first, last, created)
    folded = run(lambda sketch: _fold_sketch(sketch, rows.sketches[sketch.name], order, bounds), SKETCHES)
    sketches = {sketch.name: entries for sketch, entries in zip(SKETCHES, folded, strict=True)}
    return Rows(
        rows.map_version, rows.accounts, rows.codes[leaders], rows.hours[leaders],
        sums, first, last, created, sketches,
    )  # fmt: skip


def _fold_sketch(
    sketch: Sketch, entries: Entries, order: NDArray[np.int64], bounds: NDArray[np.int64]
) -> Entries:
    size = len(entries.keys)
    offsets = np.zeros(len(bounds), dtype=np.int64)
    index = np.empty(size, dtype=np.int64)
    counts = np.empty(size, dtype=np.int64)
    limit = size if sketch.limit is None else sketch.limit
    scratch = np.empty((2, size), dtype=np.int64)
    end = _fold_entries(
        order, bounds, entries.offsets, entries.keys, entries.counts, limit, scratch[0], scratch[1],
        offsets, index, counts,
    )  # fmt: skip
    chosen = index[:end]
    payloads = {name: _take(payload, chosen) for name, payload in entries.payloads.items()}
    return Entries(offsets, entries.keys[chosen], counts[:end], payloads)


def concat(parts: Sequence[Rows]) -> Rows:
    """Rows of several parts under one dictionary of accounts, not yet folded. All of one prompt map."""
    if not parts:
        raise ValueError("concat needs at least one part")
    if len(parts) == 1:
        return parts[0]
    versions = {part.map_version for part in parts}
    if len(versions) > 1:
        raise ValueError(f"rows of different prompt maps are never summed: {sorted(versions)}")
    merged = pa.concat_arrays([part.accounts for part in parts])
    accounts, places = ordered_dictionary(merged)
    starts = np.cumsum([0] + [len(part.accounts) for part in parts])
    codes = np.concatenate(
        [places[start:][part.codes] for start, part in zip(starts[:-1], parts, strict=True)]
    )
    return Rows(
        parts[0].map_version,
        accounts,
        codes,
        np.concatenate([part.hours for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.last for part in parts]),
        np.concatenate([part.created for part in parts]),
        {s.name: concat_entries([part.sketches[s.name] for part in parts]) for s in SKETCHES},
    )


def concat_entries(parts: list[Entries]) -> Entries:
    starts = np.cumsum([0] + [len(part.keys) for part in parts])
    offsets = np.concatenate(
        [[0], *(part.offsets[1:] + start for start, part in zip(starts[:-1], parts, strict=True))]
    ).astype(np.int64)
    payloads: dict[str, NDArray[np.int32] | pa.Array] = {}
    for name, head in parts[0].payloads.items():
        columns = [part.payloads[name] for part in parts]
        payloads[name] = (
            np.concatenate(columns) if isinstance(head, np.ndarray) else pa.concat_arrays(columns)
        )
    return Entries(
        offsets,
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.counts for part in parts]),
        payloads,
    )


@kernel
def _places(
    offsets: NDArray[np.int64],
    index: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    at = 0
    for i in range(len(index)):
        for j in range(offsets[index[i]], offsets[index[i] + 1]):
            out[at] = j
            at += 1
        out_offsets[i + 1] = at


def select(rows: Rows, index: NDArray[np.int64]) -> Rows:
    """Some of the rows, in the order of index."""
    sketches = {}
    for name, entries in rows.sketches.items():
        offsets = np.zeros(len(index) + 1, dtype=np.int64)
        size = int((entries.offsets[index + 1] - entries.offsets[index]).sum())
        places = np.empty(size, dtype=np.int64)
        _places(entries.offsets, index, offsets, places)
        payloads = {column: _take(payload, places) for column, payload in entries.payloads.items()}
        sketches[name] = Entries(offsets, entries.keys[places], entries.counts[places], payloads)
    return Rows(
        rows.map_version, rows.accounts, rows.codes[index], rows.hours[index], rows.sums[index],
        rows.first[index], rows.last[index], rows.created[index], sketches,
    )  # fmt: skip


def narrow(rows: Rows) -> Rows:
    """The same rows in fewer bytes, for rows that are many and kept: keys and counts that the lake keeps in 32 bits are
    int32 here too, as long as all of them fit; nothing else is held by them."""
    sketches = {}
    for sketch in SKETCHES:
        entries = rows.sketches[sketch.name]
        keys = _narrowed(entries.keys) if sketch.key_type == pa.list_(pa.int32()) else entries.keys
        sketches[sketch.name] = replace(entries, keys=keys, counts=_narrowed(entries.counts))
    return replace(rows, sketches=sketches)


def _narrowed(values: NDArray[np.int64]) -> NDArray[Any]:
    fits = int(values.max(initial=0)) < 2**31
    return values.astype(np.int32) if fits else values.copy()


def ordered_dictionary(values: pa.Array) -> tuple[pa.Array, NDArray[np.int32]]:
    """Distinct values in byte order, and for each value its place among them (int32[n])."""
    encoded = values.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(pa.array(order)), places[encoded.indices.to_numpy()]


def to_arrow(rows: Rows) -> pa.Table:
    """As a table of `schemas.account_hour.ACCOUNT_HOURS`."""
    columns: dict[str, pa.Array] = {
        "account_id": rows.accounts.take(pa.array(rows.codes)),
        "epoch_hour": pa.array(rows.hours),
        "map_version": pa.array([rows.map_version] * len(rows), pa.string()),
        "first_time_ms": pa.array(rows.first),
        "last_time_ms": pa.array(rows.last),
        "created_at_ms": pa.array(rows.created),
    }
    for index, name in enumerate(SUMS):
        columns[name] = pa.array(np.ascontiguousarray(rows.sums[:, index]))
    for sketch in SKETCHES:
        entries = rows.sketches[sketch.name]
        offsets = pa.array(entries.offsets.astype(np.int32))
        parts = {sketch.key: entries.keys, sketch.counts: entries.counts, **entries.payloads}
        for name, values in parts.items():
            kind = SCHEMA.field(name).type.value_type
            child = (
                values.dictionary_decode() if isinstance(values, pa.Array) else pa.array(values).cast(kind)
            )
            columns[name] = pa.ListArray.from_arrays(offsets, child)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def from_arrow(table: pa.Table) -> Rows:
    """From a table of ACCOUNT_HOURS (all rows of one prompt map; other columns are ignored)."""
    table = table.combine_chunks()
    versions = pc.unique(table["map_version"]).to_pylist()
    if len(versions) > 1:
        raise ValueError(f"rows of different prompt maps are never summed: {sorted(versions)}")
    accounts, codes = ordered_dictionary(_flat(table["account_id"]).cast(pa.string()))
    sums = np.empty((len(table), len(SUMS)), dtype=np.int64)
    for index, name in enumerate(SUMS):
        sums[:, index] = _numpy(table[name])
    return Rows(
        versions[0] if versions else "",
        accounts,
        codes,
        _numpy(table["epoch_hour"]).astype(np.int32),
        sums,
        _numpy(table["first_time_ms"]),
        _numpy(table["last_time_ms"]),
        _numpy(table["created_at_ms"]),
        {sketch.name: _entries_of(table, sketch) for sketch in SKETCHES},
    )


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks)
        if column.num_chunks
        else pa.array([], column.type)
    )


def _numpy(column: pa.ChunkedArray) -> NDArray[np.int64]:
    values: NDArray[np.int64] = _flat(column).to_numpy(zero_copy_only=False)
    return values


def _entries_of(table: pa.Table, sketch: Sketch) -> Entries:
    keys = _flat(table[sketch.key])
    payloads: dict[str, NDArray[np.int32] | pa.Array] = {}
    for name, kind, _ in sketch.payloads:
        child = _flat(table[name]).flatten()
        is_text = kind.value_type == pa.string()
        payloads[name] = child.cast(pa.string()).dictionary_encode() if is_text else child.to_numpy()
    lengths = pc.list_value_length(keys).to_numpy(zero_copy_only=False)
    return Entries(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        keys.flatten().to_numpy().astype(np.int64),
        _flat(table[sketch.counts]).flatten().to_numpy().astype(np.int64),
        payloads,
    )
